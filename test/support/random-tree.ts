/** Build contexts with anything in them that a file system can hold and an image can too, by seed. */
import { createHash } from 'node:crypto';
import { chmod, link, lstat, lutimes, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from './random.ts';
import { randomRules } from './random-rules.ts';

export interface PlantedTree {
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

interface Planting {
  readonly random: Random;
  readonly root: string;
  readonly files: string[];
  readonly directories: string[];
  readonly symlinks: string[];
  entriesLeft: number;
}

const pieces = [
  ...'a b B doc README x1 . ..x - --rf * ? [a-z] [ ] \\ ! # ^ | {a,b} ( + ~ : ;'.split(' '),
  ...'$HOME `id` " \' %2e .md .log'.split(' '),
  ...'é e\u0301 ß 漢字 🚜 \u202e'.split(' '),
  // White space of all kinds, and what is none but is taken for it.
  ...' |  |\n|\t|\r|\u0001|\u2028|\ufeff'.split('|'),
  'long'.repeat(40),
];
const plain = 'src docs index.js main.go README.md a.log build node_modules keep lib'.split(' ');
/** Files of 644 are common already. */
const fileModes = [
  0o755, 0o600, 0o400, 0o444, 0o000, 0o111, 0o666, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777,
];
const directoryModes = [0o700, 0o000, 0o111, 0o1777, 0o2775, 0o777, 0o555];
const outside = [
  '/etc/passwd',
  '/',
  '..',
  '.',
  '../../../../../outside',
  'nowhere/at all',
  '/x/a',
  'two\nlines',
  '-',
];

/**
 * Of links and empty files, which can make two directories alike in all but their times: a directory that is known
 * already is not sent again, and keeps the times it came with.
 */
const sharedTime = 1_234_567_890.5;

/** A Dockerfile that copies everything, a random tree beside it, and perhaps an ignore file. */
export async function plantTree(root: string, random: Random): Promise<PlantedTree> {
  const entriesLeft = random.chance(0.05) ? 300 : random.between(1, 80);
  const planting: Planting = { random, root, files: [], directories: [], symlinks: [], entriesLeft };
  await mkdir(root, { recursive: true });
  await plantDirectory(planting, '', 0);
  await writeFile(join(root, 'Dockerfile'), 'FROM scratch\nCOPY . /x/\n');
  const { files, directories, symlinks } = planting;
  for (const name of ['.dockerignore', 'Dockerfile.dockerignore']) {
    if (!random.chance(name === '.dockerignore' ? 0.7 : 0.1)) continue;
    const paths = [...files, ...directories, ...symlinks, 'Dockerfile', name];
    await writeFile(join(root, name), randomRules(paths, random));
  }
  // The last thing, as whatever is made in a directory changes its time; and the deepest first, as some get closed.
  for (const path of [...files, ...symlinks, ...directories.toReversed()]) {
    if (!symlinks.includes(path) && random.chance(0.3)) {
      await chmod(join(root, path), random.pick(directories.includes(path) ? directoryModes : fileModes));
    }
    const { size } = await lstat(join(root, path));
    const time = size === 0 || symlinks.includes(path) ? sharedTime : randomTime(random);
    await lutimes(join(root, path), time, time);
  }
  return planting;
}

/** Bytes that a seed repeats. */
export function randomContent(random: Random, size: number): Buffer {
  if (size === 0) return Buffer.alloc(0);
  return createHash('shake256', { outputLength: size }).update(`${random.next()}`).digest();
}

async function plantDirectory(planting: Planting, path: string, depth: number): Promise<void> {
  const { random } = planting;
  const names = new Set<string>(['Dockerfile', 'Dockerfile.dockerignore', '.dockerignore']);
  const wanted = depth === 0 ? planting.entriesLeft : random.between(0, 9);
  for (let count = 0; count < wanted && planting.entriesLeft > 0; count++) {
    const name = randomName(random);
    if (names.has(name)) continue;
    names.add(name);
    planting.entriesLeft -= 1;
    await plantEntry(planting, path === '' ? name : `${path}/${name}`, depth);
  }
}

async function plantEntry(planting: Planting, path: string, depth: number): Promise<void> {
  const { random, root, files, directories, symlinks } = planting;
  const kind = random.next();
  if (kind < 0.25 && depth < 5) {
    await mkdir(join(root, path), { mode: 0o755 });
    directories.push(path);
    await plantDirectory(planting, path, depth + 1);
  } else if (kind < 0.4) {
    await symlink(randomTarget(planting, path), join(root, path));
    symlinks.push(path);
  } else if (kind < 0.5 && files.length > 0) {
    await link(join(root, random.pick(files)), join(root, path));
    files.push(path);
  } else {
    await writeFile(join(root, path), randomContent(random, randomSize(random)), { mode: 0o644 });
    files.push(path);
  }
}

function randomName(random: Random): string {
  if (random.chance(0.5)) return random.pick(plain);
  const count = random.between(1, 5);
  const name = Array.from({ length: count }, () => random.pick(pieces)).join('');
  return Buffer.byteLength(name) > 255 || name === '.' || name === '..' ? 'too odd' : name;
}

/** Mostly small; one in a hundred large enough to travel in more than one piece. */
function randomSize(random: Random): number {
  const kind = random.next();
  if (kind < 0.1) return 0;
  if (kind < 0.85) return random.between(1, 3000);
  return kind < 0.99 ? random.between(3000, 200_000) : random.between(200_000, 5_000_000);
}

function randomTarget({ random, files, directories, symlinks }: Planting, path: string): string {
  const kind = random.next();
  const name = path.slice(path.lastIndexOf('/') + 1);
  const inside = [...files, ...directories, ...symlinks];
  // Itself, a path within the tree seen from the root or from here, or somewhere else.
  if (kind < 0.1) return name;
  if (kind < 0.6 && inside.length > 0) {
    const up = '../'.repeat(path.split('/').length - 1);
    return `${random.chance(0.2) ? '/' : up}${random.pick(inside)}`;
  }
  return random.pick(outside);
}

/** Seconds since 1970, with a fraction; also before that, and after 2038. */
function randomTime(random: Random): number {
  if (random.chance(0.03)) return -random.between(1, 1_000_000_000) + random.next();
  if (random.chance(0.03)) return 4_000_000_000 + random.between(0, 1_000_000_000);
  return random.between(0, 2_000_000_000) + (random.chance(0.5) ? random.next() : 0);
}
