/** What a scan leaves out is what Docker leaves out, by a table that test/support/record-ignore-table.ts wrote. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { dockerfileTree } from '../../../coordinator/context/dockerfile.ts';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { decodeDirectory } from '../../../shared/context/encoding.ts';
import { parseIgnoreFile } from '../../../shared/context/ignore.ts';
import { select } from '../../../shared/context/select.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { writeIgnoreFiles, writeIgnoreTree, type IgnoreCase } from '../../support/ignore-cases.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const signal = AbortSignal.timeout(120_000);
const tableSchema = v.object({
  paths: v.array(v.string()),
  cases: v.array(
    v.object({
      rules: v.exactOptional(v.string()),
      own: v.exactOptional(v.string()),
      /** A digit a path, 1 for what is in the image; null where the rules are refused. */
      kept: v.nullable(v.string()),
    }),
  ),
});
const file = new URL('ignore-table.json', import.meta.url);
const table = v.parse(tableSchema, JSON.parse(await readFile(file, 'utf8')));

/** BuildKit reads the ignore file from the context, so a tree has it always; the rules keep it from the image. */
const ignoreFile = '.dockerignore';

async function scanned(root: string): Promise<string[]> {
  const snapshot = await scanContext(root, { dockerfile: join(root, 'Dockerfile'), signal });
  const source = {
    directory: async (digest: string) =>
      decodeDirectory(digest, snapshot.directories.get(digest) ?? Buffer.alloc(0)),
  };
  const everything = { followPaths: [], includePatterns: [], excludePatterns: [] };
  const paths: string[] = [];
  for await (const { path } of select({ root: snapshot.root }, everything, source, signal)) paths.push(path);
  return paths.toSorted();
}

/** What is wrong with what is found; undefined when nothing is. */
function difference(
  found: readonly string[],
  kept: readonly string[],
  files: IgnoreCase,
): string | undefined {
  const more = found.filter((path) => path !== ignoreFile && !kept.includes(path));
  const less = kept.filter((path) => !found.includes(path));
  if (more.length + less.length === 0 && isIgnored(files) !== kept.includes(ignoreFile)) return undefined;
  return `${JSON.stringify(files)}: too much ${JSON.stringify(more)}, missing ${JSON.stringify(less)}`;
}

function isIgnored({ rules, own }: IgnoreCase): boolean {
  // Where there is no such file the table says that the image has none.
  if (rules === undefined) return true;
  const matcher = parseIgnoreFile(own ?? rules, { name: ignoreFile });
  return matcher.matches(matcher.root, ignoreFile);
}

/**
 * BuildKit hands patterns on to Go's regular expressions, which know more than its own rules say, and looks at a pattern
 * only when it comes to it. Here they are refused, with a word on what to write.
 */
const refusedHere = ['\\b*', 'x{2}*', 'a*\\'];

test(`${table.cases.length} ignore files leave what they leave with BuildKit [D5]`, async () => {
  await using directory = await temporaryDirectory();
  await writeIgnoreTree(directory.path);
  const wrong: string[] = [];
  for (const { kept: bits, ...files } of table.cases) {
    await writeIgnoreFiles(directory.path, files);
    const found = await scanned(directory.path).catch((error: unknown) => {
      if (error instanceof ArchfarmError && error.code === 'context-invalid') return undefined;
      throw error;
    });
    const kept = refusedHere.includes(files.rules ?? '') ? null : bits;
    if (kept === null || found === undefined) {
      if (kept !== null || found !== undefined) wrong.push(`${JSON.stringify(files)}: only one refuses it`);
      continue;
    }
    const expected = table.paths.filter((_, index) => kept[index] === '1');
    wrong.push(...[difference(found, expected, files)].filter((text) => text !== undefined));
  }
  assert.ok(table.cases.length > 300);
  assert.is(wrong.length, 0, wrong.slice(0, 30).join('\n'));
});

test('Dockerfile and ignore file stay available to a build that ignores them', async () => {
  await using directory = await temporaryDirectory();
  await writeIgnoreTree(directory.path);
  await writeIgnoreFiles(directory.path, { rules: '*\n', own: '**\n' });
  const path = join(directory.path, 'Dockerfile');
  assert.equal(await scanned(directory.path), [ignoreFile]);
  const { files } = await dockerfileTree({ type: 'file', path });
  assert.is(files, 2, 'the Dockerfile and its own ignore file');
});

test.run();
