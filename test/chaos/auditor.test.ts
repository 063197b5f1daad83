/** The auditor finds what it is to find: each invariant is broken once, and that one alone is named. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { audit, type Evidence } from './auditor.ts';

const amd64 = 'linux/amd64';
const arm64 = 'linux/arm64/v8';
const first = 'sha256:first';
const second = 'sha256:second';

function images(digest: string, nonce: string): Evidence['images'][number]['platforms'] {
  return [amd64, arm64].map((platform) => ({
    listed: platform,
    configured: platform,
    whole: digest !== '',
    printed: nonce,
  }));
}

/** Two builds of one tag, all well. */
const good: Evidence = {
  asked: [
    { build: 'b1', tag: 'app:latest', nonce: 'n1', platforms: [amd64, arm64] },
    { build: 'b2', tag: 'app:latest', nonce: 'n2', platforms: [amd64, arm64] },
  ],
  builds: [
    { id: 'b1', sequence: 1, status: 'succeeded', digest: first },
    { id: 'b2', sequence: 2, status: 'succeeded', digest: second },
  ],
  puts: [
    { tag: 'app:latest', digest: first, platforms: [amd64, arm64], missing: [], taken: true },
    { tag: 'app:latest', digest: second, platforms: [amd64, arm64], missing: [], taken: true },
  ],
  tags: new Map([['app:latest', second]]),
  images: [
    { build: 'b1', digest: first, platforms: images(first, 'n1') },
    { build: 'b2', digest: second, platforms: images(second, 'n2') },
  ],
  logs: new Map(
    ['b1', 'b2'].map((build) => [
      build,
      [
        { seq: 1, type: 'state', platform: amd64, state: 'running', attempt: 1 },
        { seq: 2, type: 'state', platform: amd64, state: 'pushed', attempt: 1 },
        { seq: 3, type: 'state', state: 'succeeded' },
        { seq: 4, type: 'result' },
      ],
    ]),
  ),
  leaks: [],
  leftovers: [],
};

const [b1, b2] = good.builds;
const [put1, put2] = good.puts;
const [image1, image2] = good.images;
const frames = good.logs.get('b1') ?? [];
assert.ok(b1 && b2 && put1 && put2 && image1 && image2);

function withLog(
  ...changed: Evidence['logs'] extends ReadonlyMap<string, infer Log> ? [Log] : never
): Evidence {
  return { ...good, logs: new Map([...good.logs, ['b1', changed[0]]]) };
}

function withImage(change: Partial<Evidence['images'][number]['platforms'][number]>): Evidence {
  const [one, ...others] = image1?.platforms ?? [];
  assert.ok(one && image1 && image2);
  return { ...good, images: [{ ...image1, platforms: [{ ...one, ...change }, ...others] }, image2] };
}

const broken: readonly (readonly [string, string, Evidence])[] = [
  ['a build that was lost', 'I1', { ...good, asked: [...good.asked, { ...good.asked[0]!, build: 'b3' }] }],
  [
    'a build that has not ended',
    'I1',
    { ...good, builds: [...good.builds, { ...b1, id: 'b3', sequence: 3, status: undefined }] },
  ],
  ['a list that is gone', 'I2', { ...good, images: [image2] }],
  [
    'a list without a platform',
    'I2',
    { ...good, images: [{ ...image1, platforms: image1.platforms.slice(1) }, image2] },
  ],
  ['bytes that are not those of the digest', 'I2', withImage({ whole: false })],
  ['an image for another architecture', 'I2', withImage({ configured: 'linux/s390x' })],
  [
    'a tag that was moved by a build that failed',
    'I3',
    {
      ...good,
      puts: [put1, put2, { ...put2, digest: 'sha256:third' }],
      asked: [...good.asked, { ...good.asked[0]!, build: 'b3' }],
      builds: [...good.builds, { id: 'b3', sequence: 3, status: 'failed', digest: 'sha256:third' }],
    },
  ],
  ['a tag that is not the last success', 'I3', { ...good, tags: new Map([['app:latest', first]]) }],
  [
    'a list that was put before its child',
    'I4',
    { ...good, puts: [put1, { ...put2, missing: ['sha256:child'] }] },
  ],
  [
    'a list that lacked a platform for a moment',
    'I4',
    { ...good, puts: [put1, { ...put2, platforms: [amd64] }] },
  ],
  [
    'something else than a list under a tag',
    'I4',
    { ...good, puts: [put1, { ...put2, platforms: undefined }] },
  ],
  ['an older build over a newer one', 'I5', { ...good, puts: [put2, put1] }],
  ['a secret in a log', 'I6', { ...good, leaks: ['/data/logs/b1.ndjson'] }],
  ['an image of another build', 'I7', withImage({ printed: 'n2' })],
  ['a container that is left', 'I8', { ...good, leftovers: ['container x'] }],
  [
    'a gap in a log',
    'I9',
    withLog(frames.map((frame, index) => (index === 3 ? { ...frame, seq: 5 } : frame))),
  ],
  ['a frame that came twice', 'I9', withLog([...frames.slice(0, 2), ...frames.slice(1)])],
  [
    'two ends of one build',
    'I10',
    withLog([...frames.slice(0, 3), { seq: 4, type: 'state', state: 'failed' }, { seq: 5, type: 'result' }]),
  ],
  [
    'a task that goes on after its end',
    'I10',
    withLog([
      ...frames.slice(0, 2),
      { seq: 3, type: 'state', platform: amd64, state: 'running', attempt: 2 },
      { seq: 4, type: 'result' },
    ]),
  ],
  ['a build without a result', 'I10', withLog(frames.slice(0, 3))],
];

test('of a farm in which all is well, nothing is said', () => {
  assert.equal(audit(good), []);
});

test('the late result of an attempt that was given up may end a task, if it is the first', () => {
  const late = (state: string): Evidence =>
    withLog([
      { seq: 1, type: 'state', platform: amd64, state: 'running', attempt: 1 },
      { seq: 2, type: 'state', platform: amd64, state: 'running', attempt: 2 },
      { seq: 3, type: 'state', platform: amd64, state, attempt: 1 },
      { seq: 4, type: 'result' },
    ]);
  assert.equal(audit(late('pushed')), []);
  assert.match(audit(late('running')).join(), 'went back to attempt 1');
});

for (const [what, invariant, evidence] of broken) {
  test(`${what} breaks ${invariant}`, () => {
    const named = audit(evidence).map((violation) => violation.split(':')[0]);
    assert.ok(named.includes(invariant), `it said ${JSON.stringify(audit(evidence))}`);
  });
}

test('every invariant was broken', () => {
  const all = Array.from({ length: 10 }, (_, index) => `I${index + 1}`);
  assert.equal(
    all.filter((invariant) => !broken.some(([, each]) => each === invariant)),
    [],
  );
});

test.run();
