/** A small tree and ignore files for it: what the table of BuildKit's answers is about. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Random } from './random.ts';
import { randomRules } from './random-rules.ts';

export interface IgnoreCase {
  /** `.dockerignore`; without one there is no such file. */
  readonly rules?: string;
  /** `Dockerfile.dockerignore`, which replaces it. */
  readonly own?: string;
}

/** Names with a slash at their end are empty directories. */
export const ignorePaths: readonly string[] = [
  ...words(String.raw`
  Dockerfile .hidden README.md readme.md LICENSE a ab app.log é -dash #hash !bang two⏎lines a*b
  a?b [ab] back\slash a+b a.b {a,b} x^a x|a (a) $a 漢字/🚜 empty/ empty/below/ b/a b/b/a b/b/b/a
  docs/README.md docs/index.html docs/api/README.md docs/api/v1/ref.md docs/api/v1/ref.txt
  src/main.go src/main_test.go src/vendor/x/x.go src/vendor/keep/y.go src/.hidden SRC/MAIN.GO
  node_modules/p/index.js web/node_modules/q/index.js web/index.js build/out.o build/keep/in.o
  `),
  'with space',
  ' leading',
  'trailing ',
  'tab\there',
];

const single = [
  ...words(String.raw`
  * ** . / .. ./ // */ **/ /* /** **/* */* */** **/** */*/* **/*/* a /a ./a //a a/ a/. a/.. b/..
  b/../a ../a b//a b/./a /b/a/ b/ b/* b/** b/b b/*/a b/**/a **/a **a *a a* a** **/b/a **/b/** b**
  b/b/**/a */a */*/a ?/a *.md **/*.md docs/*.md docs/**/*.md docs/** **/docs **/README.md README*
  *ADME.md readme.MD docs/api docs/*/README.md docs/*/*/ref.* **/v1 **/v1/* **/v1/** d* d*/api *s
  **/*.?d ?ocs .* **/.* .hidden */.hidden *.* [a-z] [A-Z]* [^a-z]* [!a-z]* [a-cx-z]* []a] [\]a]*
  [a\-z]* a\*b a\?b a?b a*b \[ab\] [ab] [[]ab] [\[]ab\] back\slash back\\slash back?slash a+b a.b
  a[.]b {a,b} {a,b}* x^a x^* x|a x|* (a) (a)* $a $a* \$a a{1} \a \a* trailing? two* two?lines
  two**lines é é* ? ?? 漢字 漢? 漢字/? **/🚜 -dash -* #hash \#hash ?hash !bang \!bang ?bang !!bang
  empty empty/* empty/below SRC src Src [sS]rc src/vendor src/*_test.go src/**/*.go **/*.go
  **/keep **/keep/** **/p/.. node_modules **/node_modules */node_modules node_modules/**
  **/node_modules/** **/node_modules/*/index.js Dockerfile .dockerignore Docker* *ignore
  /Dockerfile ./.dockerignore **/Dockerfile Dockerfile/ nothing/at/all
  `),
  'with space',
  'with\\ space',
  '*\\ *',
  '* *',
  ' with space ',
  ' leading',
  '\\ leading',
  'trailing ',
  'trailing\\ ',
  'tab\there',
  'tab\\\there',
  '\u00a0a',
  'a\u00a0',
  '\u3000a',
  ' #hash',
  '! bang',
];

const invalid = [
  ...words(String.raw`
  [ [a [] []a [^ [^] [a- [a-] [-a] [z-a] [a\ a\ \ b/[ **/[ ! !/ ![ [[:alpha:]] [[:what:]] a[
  x/[a-z *** a***b [a]] **[ \q \q* \d* \b* x{2}* x{* +* a*\
  `),
  '! ',
];

const several = [
  ...words(String.raw`
  *⏎!a *⏎!b *⏎!b/b *⏎!b/b/b/a *⏎!docs/README.md *⏎!docs/** *⏎!docs/*/README.md *⏎!**/README.md
  **⏎!a **⏎!docs **⏎!docs/api/** **⏎!**/*.md **⏎!*.md **/*⏎!b **/*⏎!**/a *⏎!src⏎src/vendor
  docs⏎!docs/api docs⏎!docs/api⏎docs/api/v1 docs/*⏎!docs/api docs/**⏎!docs/api
  docs/**⏎!docs/api/** docs⏎!docs/*/v1 docs⏎!docs/api/v? docs⏎!**/ref.md docs⏎!*/*/*/ref.md
  docs⏎!docs !docs⏎docs !a !* b/b⏎!b/b/b b/b⏎!b/b/b/a b⏎!b/*⏎b/b b/**/a⏎!b/b/a */a⏎!b/a b/*⏎!b/a
  **/b⏎!b b⏎!b/. b⏎!./b/a *⏎!*/ *⏎!*/* *⏎!src/⏎ *⏎!/src *⏎!src/*.go⏎src/*_test.go *⏎!src/**/keep
  *⏎!s*/vendor *⏎!S* *⏎!empty *⏎!empty/below *⏎!nothing *⏎!nothing/at build/*⏎!build/keep
  build/⏎!build/keep/in.o *⏎!Dockerfile Dockerfile⏎.dockerignore Dockerfile*⏎.dockerignore
  *⏎!.dockerignore **⏎!Dockerfile⏎!a #a⏎\#hash ⏎⏎⏎a⏎⏎ a⏎b a⏎!a⏎a !a⏎!b⏎a⏎b *⏎!a⏎!b⏎b/b
  *.log⏎!app.log *.md⏎!README.md *.MD⏎!readme.md fine⏎[ [⏎!a *⏎![ *⏎!⏎ a⏎!
  node_modules⏎!node_modules/p **/node_modules⏎!node_modules **/node_modules⏎!web/node_modules/q
  **/vendor⏎!**/vendor/keep src/vendor/*⏎!src/vendor/keep src⏎!src/vendor/keep
  `),
  '# comment\na',
  '  # not one\na',
  '\ta\t\n  b  ',
  'a\r\nb\r\n',
  '\ufeffa\nb',
  'a\n\ufeffb',
  '\ufeff# a\nb',
  '*\n! a ',
  '*\n!  b/b',
  '# [\na',
];

/** Written ones, and some that a seed repeats. */
export function ignoreCases(): IgnoreCase[] {
  const random = new Random(2024);
  const paths = ignorePaths.map((path) => path.replace(/\/$/, ''));
  const generated = Array.from({ length: 120 }, () => randomRules(paths, random));
  return [
    {},
    ...['', ...single, ...invalid, ...several, ...generated].map((rules) => ({ rules })),
    ...['', 'a', '*', '*\n!b', 'Dockerfile*', '['].map((own) => ({ own })),
    ...['', 'a', '.dockerignore', '*\n!b'].map((own) => ({ own, rules: 'b\n' })),
    { own: 'a', rules: '[' },
  ];
}

export async function writeIgnoreTree(root: string): Promise<void> {
  for (const path of ignorePaths) {
    const full = join(root, path);
    await mkdir(path.endsWith('/') ? full : dirname(full), { recursive: true });
    if (!path.endsWith('/'))
      await writeFile(full, path === 'Dockerfile' ? 'FROM scratch\nCOPY . /x/\n' : path);
  }
}

export async function writeIgnoreFiles(root: string, { rules, own }: IgnoreCase): Promise<void> {
  for (const [name, text] of [
    ['.dockerignore', rules],
    ['Dockerfile.dockerignore', own],
  ] as const) {
    if (text === undefined) await rm(join(root, name), { force: true });
    else await writeFile(join(root, name), text);
  }
}

/** Separated by white space; `⏎` stands for the end of a line. */
function words(text: string): string[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => word.replaceAll('⏎', '\n'));
}
