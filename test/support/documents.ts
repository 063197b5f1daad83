/** What the README files show: blocks of commands, and commands in the middle of a text. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Document {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** All `README.md` of the repository. */
export async function documents(): Promise<Document[]> {
  const parts = await Promise.all(
    ['agent', 'coordinator', 'shared', 'scripts', 'test'].map(async (part) =>
      (await readdir(join(root, part), { recursive: true })).map((file) => join(part, file)),
    ),
  );
  const paths = ['README.md', ...parts.flat().filter((path) => path.endsWith('/README.md'))];
  return await Promise.all(
    paths.toSorted().map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })),
  );
}

export async function documentAt(path: string): Promise<Document> {
  return { path, text: await readFile(join(root, path), 'utf8') };
}

/** From a heading to the next one of its level or a higher one. */
export function sectionOf({ text, path }: Document, heading: string): string {
  const lines = text.split('\n');
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`${path} has no ${heading}`);
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const length = lines.slice(start + 1).findIndex((line) => (/^(#+) /.exec(line)?.[1]?.length ?? 9) <= level);
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n');
}

/**
 * The text of each block that shows commands, as a shell takes it. In a block with prompts (`$ `) the lines without one are
 * what was printed. Drawings, and blocks of another language, are none.
 */
export function commandBlocks(text: string): string[] {
  return [...indentedBlocks(text), ...fencedBlocks(text)].flatMap((block) => {
    const lines = block.split('\n');
    const typed = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
    if (typed.length > 0) return typed.join('\n');
    return /[─▶│◀→←]/.test(block) ? [] : block;
  });
}

function indentedBlocks(text: string): string[] {
  const blocks = withoutFences(text).matchAll(/(?<=^|\n\n)(?: {4}[^\n]*\n(?:\n(?= {4}))?)+/g);
  return [...blocks].map(([block]) => block.replaceAll(/^ {4}/gm, ''));
}

function fencedBlocks(text: string): string[] {
  return [...text.matchAll(fence)].flatMap(([, language = '', block = '']) =>
    ['', 'sh', 'bash', 'console'].includes(language) ? block : [],
  );
}

const fence = /^```([a-z]*)\n([^]*?)^```$/gm;

function withoutFences(text: string): string {
  return text.replaceAll(fence, '');
}

/** What stands between backticks, blocks left out. */
export function codeSpans(text: string): string[] {
  const prose = withoutFences(text).replaceAll(/^ {4}.*$/gm, '');
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, span = '']) =>
    span.replaceAll(/\s+/g, ' ').replaceAll('\\|', '|'),
  );
}
