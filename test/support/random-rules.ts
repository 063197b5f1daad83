/** Random ignore files: what people write about the paths of a tree, and what they get wrong. */
import type { Random } from './random.ts';

/** Engines of Docker 20.10 ask for patterns in header fields, and buildx gives up at those with these characters. */
const unsendable = /(?!\t)\p{Cc}/gu;

/** BuildKit says what is wrong with a pattern when it comes to it, so each stands alone; some it finds at once. */
const invalid = ['[', '[a', 'a\\', '!', '[]a]', '[z-a]', '# comment\n[', 'b/[', '**/[a-'];

/** Most patterns are made of the paths, so that they match something. */
export function randomRules(paths: readonly string[], random: Random): string {
  if (random.chance(0.05)) return random.pick(invalid);
  const lines = Array.from({ length: random.between(0, 9) }, () => randomLine(paths, random));
  const end = random.pick(['\n', '\n', '\n', '\r\n']);
  const mark = random.chance(0.05) ? '\ufeff' : '';
  return mark + lines.join(end) + (random.chance(0.8) ? end : '');
}

function randomLine(paths: readonly string[], random: Random): string {
  const kind = random.next();
  if (kind < 0.05) return random.pick(['# comment', ' # not a comment', '#', '', '   ', '\t', '!#x']);
  if (kind < 0.25) return random.pick(general);
  const negated = random.chance(0.35) ? '!' : '';
  const path = random.pick(paths).replaceAll(unsendable, '?');
  return random.pick(['', '', '', ' ']) + negated + decorated(patternOf(path, random), random);
}

const general = [
  ...'* ** */* **/* **/*.md *.log **/node_modules */keep docs/** !docs/**/*.md !*.md !**/keep'.split(' '),
  ...'**/[a-d]* ? **/? .* *.* !Dockerfile Dockerfile .dockerignore . / .. src/*/index.js'.split(' '),
  ...'!src/**/index.js **/docs/** [^a-m]* !** */**'.split(' '),
  '*\\ *',
  '**/* *',
];

/** The path with some of its segments replaced by wildcards. */
function patternOf(path: string, random: Random): string {
  const names = path.split('/').map((name) => segmentOf(name, random));
  const first = random.chance(0.15) ? ['**'] : [];
  const last = random.chance(0.1) ? [random.pick(['*', '**', 'keep'])] : [];
  return [...first, ...names, ...last].join('/');
}

function segmentOf(name: string, random: Random): string {
  const kind = random.next();
  if (kind < 0.1) return '*';
  if (kind < 0.15) return '**';
  if (kind < 0.2) return `${escaped(name.slice(0, 1))}*`;
  if (kind < 0.25) return `*${escaped(name.slice(-2))}`;
  if (kind < 0.3) return escaped(name).replace(/[a-z]/, '?');
  if (kind < 0.33) return escaped(name).toUpperCase();
  return kind < 0.7 ? escaped(name).replaceAll(/[*?^]/g, String.raw`\$&`) : escaped(name);
}

/** Left alone, these would make many a pattern invalid. */
function escaped(name: string): string {
  return name.replaceAll(/[[\]\\]/g, String.raw`\$&`);
}

function decorated(pattern: string, random: Random): string {
  const before = random.pick(['', '', '', '', '/', './', '//', 'a/../']);
  const after = random.pick(['', '', '', '', '/', ' ', ' \t', '/.']);
  return before + pattern + after;
}
