/** Which bad input there is, from whomever it comes: each kind has tests with its number at the end of their names. */
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const kinds: Readonly<Record<string, string>> = {
  B1: 'what is no request, no upgrade or for no path',
  B2: 'connections that say nothing or little, and keep others out',
  B3: 'frames that no WebSocket library sends',
  B4: 'frames that are too large, too many, unmasked, reserved or no text',
  B5: 'what is no JSON, or JSON that programs read differently',
  B6: 'nesting without end',
  B7: 'keys that JavaScript reserves',
  B8: 'kinds of messages and versions that nobody knows',
  B9: 'messages out of order, and of builds of others',
  B10: 'more messages than anybody needs',
  B11: 'offers that are never taken, and work without a sign',
  B12: 'digests, sizes and platforms that are none',
  X1: 'paths that lead out of a context',
  X2: 'links to write through, or that lead out',
  X3: 'links inside a context that lead out of it',
  X4: 'devices, pipes and sockets',
  X5: 'sparse files',
  X6: 'names with control characters, in other encodings, too long',
  X7: 'paths that are too deep or too long',
  X8: 'very many files',
  X9: 'archives that are damaged, or lie',
  X10: 'compressed archives, and bombs',
  X11: 'contents that are cut, longer or altered',
  X12: 'files that change or cannot be read while they are sent',
  D1: 'Dockerfiles that are missing, empty, no file or in another encoding',
  D2: 'Dockerfiles outside of the context',
  D3: 'frontends of strangers',
  D4: 'what a Dockerfile must not ask of its host',
  D5: 'ignore files that take for ever, or are wrong',
  C1: 'YAML that is none, or too much of it',
  C2: 'unknown keys, missing variables, files that others may read',
  C3: 'broken credentials and their helpers',
  R1: 'references that are none',
  R2: 'manifests that are too large, too deep or lie',
  R3: 'redirects to where nothing should go',
  R4: 'challenges that are long, broken or dangerous',
  R5: 'tokens that are missing, too large or for no time',
  R6: 'errors with pictures, of any length',
  L1: 'output that moves the cursor, has no end or is no text',
};

/** Of tests, or of cases that are named like tests. */
function kindsIn(text: string): string[] {
  return [...text.matchAll(/ \[([A-Z]\d+(?:, [A-Z]\d+)*)\](?=['"`])/g)].flatMap(([, ids = '']) =>
    ids.split(', '),
  );
}

const files = (await readdir('test', { recursive: true })).filter((file) => file.endsWith('.ts'));
const texts = new Map(
  await Promise.all(files.map(async (file) => [file, await readFile(`test/${file}`, 'utf8')] as const)),
);

test('each kind of bad input has its tests, and no test has one that is not here', () => {
  const found = new Set([...texts.values()].flatMap(kindsIn));
  assert.equal([...found].toSorted(), Object.keys(kinds).toSorted());
});

test('each comes to a process that serves others meanwhile, and whose memory is looked at', () => {
  const isLookedAt = ([file, text]: readonly [string, string]): boolean =>
    file === 'support/hostile-records.ts' ||
    (file.startsWith('e2e/bad-input/') && text.includes('unharmed('));
  const found = new Set([...texts].filter(isLookedAt).flatMap(([, text]) => kindsIn(text)));
  assert.equal([...found].toSorted(), Object.keys(kinds).toSorted());
});

test.run();
