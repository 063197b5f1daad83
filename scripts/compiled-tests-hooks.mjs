/** Hands Node what `compileTests` made of a source; sources elsewhere are none of its business. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

let directory;
let root;

export function initialize(data) {
  ({ directory, root } = data);
}

export async function load(url, context, next) {
  const path = url.startsWith('file:') ? fileURLToPath(url) : '';
  if (!path.endsWith('.ts') || !path.startsWith(root)) return next(url, context);
  const source = await readFile(`${directory}/${path.slice(root.length)}.mjs`);
  return { format: 'module', shortCircuit: true, source };
}
