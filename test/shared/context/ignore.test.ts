import fc from 'fast-check';
import { posix } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Matcher, parseIgnoreFile } from '../../../shared/context/ignore.ts';

const seed = Date.now() % 2 ** 31;

/** Walks down to a path as a scan does; true when the last name is matched. */
function matches(matcher: Matcher, path: string): boolean {
  let state = matcher.root;
  const names = path.split('/');
  for (const name of names.slice(0, -1)) state = matcher.enter(state, name).state;
  const last = names.at(-1) ?? '';
  const asFile = matcher.matches(state, last);
  assert.is(matcher.enter(state, last).matched, asFile, 'a directory of that name is matched alike');
  return asFile;
}

/** What Docker does with one pattern, with a backtracking engine: right for small patterns, useless for large ones. */
function oracleOf(pattern: string): (path: string) => boolean {
  const plain = pattern.replace(/^!/, '');
  if (/^[^*?[\\\]]*$/.test(plain)) return (path) => path === plain;
  if (/^[^*?[\\\]]*\*\*$/.test(plain)) return (path) => path.startsWith(plain.slice(0, -2));
  if (/^\*\*[^*?[\\\]]*$/.test(plain)) {
    const suffix = plain.slice(2);
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  }
  let source = '';
  for (let at = 0; at < plain.length; at++) {
    const char = plain[at] ?? '';
    if (char === '*' && plain[at + 1] === '*') {
      at += plain[at + 2] === '/' ? 2 : 1;
      source += at + 1 >= plain.length ? '.*' : '(?:.*/)?';
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '\\') source += `\\${plain[++at] ?? ''}`;
    else source += '.+()|{}$'.includes(char) ? `\\${char}` : char;
  }
  const expression = new RegExp(`^${source}$`);
  return (path) => expression.test(path);
}

function oracle(patterns: readonly string[], path: string): boolean {
  const names = path.split('/');
  let inherited = patterns.map(() => false);
  let matched = false;
  for (let length = 1; length <= names.length; length++) {
    const current = names.slice(0, length).join('/');
    matched = false;
    inherited = patterns.map((pattern, index) => {
      const negated = pattern.startsWith('!');
      let hit = inherited[index] ?? false;
      if (!hit && negated === matched) hit = oracleOf(pattern)(current);
      if (hit) matched = !negated;
      return hit;
    });
  }
  return matched;
}

test('agrees with a backtracking oracle on random patterns and paths', () => {
  const piece = fc.constantFrom('a', 'b', 'ab', '*', '**', '?', '[ab]', '[^a]', '\\*', '.', 'é', '+');
  const pattern = fc
    .tuple(
      fc.boolean(),
      fc.array(fc.array(piece, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
    )
    .map(([negated, segments]) => {
      const text = posix.normalize(segments.map((segment) => segment.join('')).join('/'));
      return (negated ? '!' : '') + text;
    });
  const segment = fc.string({
    unit: fc.constantFrom('a', 'b', '.', 'é', '+', '*', '\n'),
    minLength: 1,
    maxLength: 4,
  });
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 4 }), path, (patterns, text) => {
      assert.is(matches(new Matcher(patterns), text), oracle(patterns, text));
    }),
    { seed, numRuns: 5000 },
  );
});

test('agrees with it on long lists of paths, where what a pattern says of a directory is taken back and said again', () => {
  const name = fc.constantFrom('a', 'b');
  const piece = fc.oneof(
    { weight: 9, arbitrary: name },
    { weight: 1, arbitrary: fc.constantFrom('*', '**', 'a*') },
  );
  const pattern = fc
    .tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 3 }))
    .map(([negated, names]) => (negated ? '!' : '') + names.join('/'));
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 16 }), path, (patterns, text) => {
      assert.is(matches(new Matcher(patterns), text), oracle(patterns, text));
    }),
    { seed, numRuns: 5000 },
  );
});

test('matches as the cases of Docker say', () => {
  const cases: readonly (readonly [pattern: string, path: string, matched: boolean])[] = [
    ['**', 'file', true],
    ['**', 'dir/file\nname', true],
    ['**/**', 'line\nbreak', false],
    ['**/', 'dir/file', true],
    ['dir/**', 'dir/dir2/file', true],
    ['dir/**', 'dir', false],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/**', 'dir/dir2/dir2/file', true],
    ['**file', 'dir/afile', true],
    ['**/file', 'dir/afile', false],
    ['a**b', 'a/c/b', true],
    ['a**b', 'acb', false],
    ['*/b', 'a/c', false],
    ['a/*', 'a/b/c', true],
    ['a', 'a/b', true],
    ['.*', '.foo', true],
    ['.*', 'foo', false],
    ['abc.def', 'abcdef', false],
    ['a\\*b', 'a*b', true],
    ['a\\?b', 'axb', false],
    ['[\\]a]x', ']x', true],
    ['[[:alpha:]]x', 'zx', true],
    ['file\\d', 'file7', true],
    ['[a*]b', 'ab', false],
    ['a(b)c/def', 'a(b)c/def', true],
    ['*.{md,txt}', 'x.md', false],
    ['*.{md,txt}', 'x.{md,txt}', true],
    ['x^a', 'x^a', true],
    ['x^a*', 'x^ab', false],
    ['^a*', 'ab', true],
    ['*.a|*.b', 'x.b', true],
    ['é?', 'é💡', true],
    ['a/b/..', 'a/c', true],
    ['\ufeffb?', 'bc', true],
    ['\ufeffb', '\ufeffb', true],
    ['.', 'a', false],
  ];
  for (const [pattern, path, matched] of cases) {
    assert.is(matches(new Matcher([pattern]), path), matched, `${pattern} on ${path}`);
  }
});

test('the last pattern that matches wins, in directories too', () => {
  const matcher = new Matcher(['docs', '!docs/keep', 'docs/keep/no*']);
  assert.ok(matches(matcher, 'docs/readme'));
  assert.not(matches(matcher, 'docs/keep/yes'));
  assert.ok(matches(matcher, 'docs/keep/no.md'));
});

test('says into which ignored directories to look as BuildKit does', () => {
  const prefixes = new Matcher(['*', '!a/b', '!c/*', '!d/*/**']);
  for (const [path, reached] of [
    ['a', true],
    ['a/b', true],
    ['x', false],
    ['c', true],
    ['d', true],
    ['d/e', false],
  ] as const) {
    assert.is(prefixes.reaches(path, { negated: true }), reached, path);
  }
  assert.ok(new Matcher(['*', '!**/keep']).reaches('anything/at/all', { negated: true }));
  assert.not(new Matcher(['*']).reaches('a', { negated: true }));
});

test('reads files with marks, comments, spaces and carriage returns', () => {
  const matcher = parseIgnoreFile(
    '\uFEFF# comment\r\n /top/ \r\n\n # not a comment\n! /top/keep\nspaced name  \n',
    { name: '.dockerignore' },
  );
  assert.ok(matches(matcher, 'top/x'));
  assert.not(matches(matcher, 'top/keep'));
  assert.ok(matches(matcher, '# not a comment'));
  assert.ok(matches(matcher, 'spaced name'));
});

test('an invalid pattern is an error that names file, line and pattern [D5]', () => {
  for (const pattern of [
    '[',
    '[]',
    '[a',
    'a\\',
    '!',
    '! ',
    '!/',
    '[z-a]',
    '[a-c-e]',
    '[a-]',
    '\\q*',
    'x{2}*',
    '[[:what:]]x',
  ]) {
    assert.throws(
      () => parseIgnoreFile(`fine\n${pattern}\n`, { name: 'web/.dockerignore' }),
      /^.*web\/.dockerignore, line 2: invalid pattern/,
      pattern,
    );
  }
});

test('patterns that drive backtracking engines mad are matched in linear time [D5]', () => {
  const text = 'a'.repeat(250);
  const evil = [
    `${'*a'.repeat(500)}b`,
    `${'**/a'.repeat(500)}b`,
    `${'[^/]*a?'.repeat(300)}b`,
    `${'**a*'.repeat(300)}b`,
  ];
  const matcher = new Matcher(evil);
  const started = performance.now();
  for (let round = 0; round < 10; round++) assert.not(matches(matcher, `${text}/${text}`));
  assert.ok(performance.now() - started < 5000, `${performance.now() - started} ms`);
});

test('an entry is not held against each of many patterns without wildcards [D5]', () => {
  const patterns = Array.from({ length: 100_000 }, (_, index) => `some/where/${index}`);
  const matcher = new Matcher([...patterns, '!some/where/7', '*.pyc']);
  assert.is(matcher.root.candidates.length, 1);
  const other = matcher.enter(matcher.root, 'other').state;
  assert.is(other.candidates.length, 0);
  assert.is(other.plain, undefined);
  assert.ok(matches(matcher, 'some/where/8'));
  assert.not(matches(matcher, 'some/where/7'));
  assert.not(matches(matcher, 'some/where'));
});

test('below a directory nothing is asked that stands before the last pattern that matched it [D5]', () => {
  const chain = Array.from({ length: 1000 }, (_, index) => (index % 2 === 0 ? '**' : '!**'));
  const matcher = new Matcher([...chain, 'a?', '!*/x']);
  assert.is(matcher.enter(matcher.root, 'ab').state.candidates.length, 1);
  assert.not(matches(matcher, 'ab/x'));
  assert.ok(matches(matcher, 'ab/y'));
});

console.log(`seed ${seed}`);
test.run();
