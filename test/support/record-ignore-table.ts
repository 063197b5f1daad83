/**
 * Writes down what Debian's docker-buildx and Docker engine leave of a tree under many ignore files, so that unit
 * tests need neither: `node --import tsx test/support/record-ignore-table.ts`.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildx } from '../../scripts/rig/buildx.ts';
import { startEngine } from '../../scripts/rig/engine.ts';
import { buildxImage } from './buildx-build.ts';
import { imageTree, type ImageTree } from './engine-image.ts';
import { ignoreCases, writeIgnoreFiles, writeIgnoreTree, type IgnoreCase } from './ignore-cases.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const run = promisify(execFile);
const table = fileURLToPath(new URL('../shared/context/ignore-table.json', import.meta.url));

await using engine = await startEngine({ name: 'table' });
await using directory = await temporaryDirectory();
const context = join(directory.path, 'context');
await writeIgnoreTree(context);

async function build(files: IgnoreCase): Promise<ImageTree | undefined> {
  await writeIgnoreFiles(context, files);
  const built = await buildxImage(context, { engine: engine.host, state: join(directory.path, 'buildx') });
  return 'refused' in built ? undefined : imageTree(engine, built.image, 'x');
}

/** With both ignore files, which are part of what is ignored or not. */
const paths = [...((await build({ rules: '', own: '' })) ?? [])].map(([path]) => path);
const cases: unknown[] = [];
for (const files of ignoreCases()) {
  const kept = await build(files);
  const bits = paths.map((path) => (kept?.has(path) === true ? '1' : '0')).join('');
  cases.push({ ...files, kept: kept === undefined ? null : bits });
}
const version = async (program: string, ...args: string[]): Promise<string> =>
  (await run(program, args)).stdout.trim();
const by = [await version(await buildx(), 'version'), await version('dockerd', '--version')];
await writeFile(table, JSON.stringify({ by, paths, cases }));
await run('npx', ['prettier', '--write', table]);
