import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readContextLimits } from '../../../coordinator/cli/context-limits.ts';
import { checkLimit, defaultLimits } from '../../../shared/context/limits.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

const gibibyte = 1024 ** 3;

function failure(action: () => unknown): ArchfarmError {
  try {
    action();
  } catch (error) {
    if (error instanceof ArchfarmError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

test('a flag counts before the environment, and the rest is as usual', () => {
  assert.equal(readContextLimits([], {}), defaultLimits);
  assert.equal(readContextLimits([], { ARCHFARM_CONTEXT_LIMITS: '' }), defaultLimits);
  const environment = { ARCHFARM_CONTEXT_LIMITS: 'entries=400000, bytes=40GiB' };
  assert.equal(readContextLimits(['bytes=50GiB', 'path=100', 'name=20', 'path=200'], environment), {
    entries: 400_000,
    bytes: 50 * gibibyte,
    pathBytes: 200,
    nameBytes: 20,
  });
});

test('what is no limit or no value is a usage error that says where it stands', () => {
  const golden: readonly [flag: string, message: RegExp][] = [
    ['files=3', /--context-limit: no limit is called "files"/],
    ['entries', /--context-limit entries: "" is not a number above 0/],
    ['entries=0', /"0" is not a number/],
    ['entries=-1', /"-1" is not a number/],
    ['bytes=lots', /"lots" is not a size/],
    ['name=256', /name=256 is more than the highest, 255/],
    ['constructor=1', /no limit is called "constructor"/],
  ];
  for (const [flag, message] of golden) {
    const error = failure(() => readContextLimits([flag], {}));
    assert.is(error.code, 'usage');
    assert.match(error.message, message);
    const listed = failure(() => readContextLimits([], { ARCHFARM_CONTEXT_LIMITS: flag }));
    assert.is(listed.code, 'usage');
  }
});

test('an error names the command where its limit is raised, with a value that can be given there', () => {
  const value = 21 * gibibyte;
  const client = failure(() => checkLimit(defaultLimits, { limit: 'bytes', value }));
  assert.match(
    client.message,
    /22548578304 bytes of files \(23 GB\), more than the limit of 21474836480 \(21 GB\)/,
  );
  assert.match(client.hint ?? '', /archfarm build --context-limit bytes=40GiB$/);
  const owned = { ...defaultLimits, command: 'serve' } as const;
  const coordinator = failure(() => checkLimit(owned, { limit: 'entries', value: 200_001 }));
  const [, flag = ''] = /archfarm serve --context-limit (.*)$/.exec(coordinator.hint ?? '') ?? [];
  assert.is(readContextLimits([flag], {}).entries, 400_000);
});

test.run();
