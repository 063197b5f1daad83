/** Records of directories that nobody encoded: a tree must be what its digest says, or nothing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeDirectory,
  digestOf,
  directoryHeader,
  encodeDirectory,
} from '../../../shared/context/encoding.ts';
import type { Directory } from '../../../shared/context/tree.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { fuzzCases } from '../../support/fuzz-cases.ts';
import type { Random } from '../../support/random.ts';

const digest = 'ab'.repeat(32);
const names = [
  'a',
  'b',
  'é',
  '日本',
  '💡',
  '\ue000',
  '.',
  '..',
  '',
  'a/b',
  '-rf',
  '\x1b[31m',
  'x'.repeat(255),
  'x'.repeat(256),
];
const numbers = [
  '0',
  '1',
  '-1',
  '00',
  '1e3',
  '9007199254740991',
  '9007199254740992',
  'NaN',
  '',
  ' 1',
  '0x10',
];
const modes = ['0644', '4755', '0755', '644', '10000', '0o644', '-644', '0888', ''];
const targets = ['a', '../x', '/etc/passwd', 'a/b', 'a//b', '..', '', 'x'.repeat(4096), 'x'.repeat(4097)];
const digests = [digest, digest.toUpperCase(), digest.slice(1), `sha256:${digest}`, ''];

function entry(random: Random): string[] {
  const name = random.pick(names);
  switch (random.between(0, 6)) {
    case 0:
    case 1:
      return ['f', name, random.pick(modes), random.pick(numbers), random.pick(digests)];
    case 2:
      return ['d', name, random.pick(modes), random.pick(digests)];
    case 3:
      return ['l', name, random.pick(targets)];
    case 4:
      return ['h', name, random.pick(targets)];
    default:
      return [random.pick(['f', 'x', '', 'ff']), name];
  }
}

/** Mostly right, and wrong in one place or two. */
function record(random: Random): Buffer {
  const right = ['f', 'a', '0644', '5', digest, 'l', 'b', 'a', 'd', 'c', '0755', digest];
  const fields = random.chance(0.5)
    ? right
    : Array.from({ length: random.between(0, 4) }, () => entry(random)).flat();
  if (fields.length > 0 && random.chance(0.5)) {
    fields[random.between(0, fields.length)] = random.pick(
      random.pick([names, numbers, modes, targets, digests]),
    );
  }
  const bytes = Buffer.from(directoryHeader + fields.map((field) => `${field}\0`).join(''));
  if (random.chance(0.2)) bytes[random.between(0, bytes.length)] = random.between(0, 256);
  return random.chance(0.1) ? bytes.subarray(0, random.between(0, bytes.length)) : bytes;
}

test('a hostile record is refused in a few words or is the one encoding of a directory', () => {
  const { count, random } = fuzzCases(5_000_000);
  let taken = 0;
  for (let round = 0; round < count; round += 1) {
    const bytes = record(random);
    let directory: Directory;
    try {
      directory = decodeDirectory(digestOf(bytes), bytes);
    } catch (error) {
      if (error instanceof ArchfarmError && error.code === 'context-invalid' && error.message.length < 1000)
        continue;
      throw error;
    }
    taken += 1;
    assert.ok(encodeDirectory(directory).record.equals(bytes), `round ${round}: ${bytes.toString('hex')}`);
    for (const { name } of directory.entries) assert.not.match(name, /^\.{0,2}$|\/|\0/);
  }
  assert.ok(taken > count / 50 && taken < count / 2, `${taken} of ${count} were taken`);
});

test.run();
