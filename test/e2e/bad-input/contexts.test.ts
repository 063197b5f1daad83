/** Trees and contents that no client of ours sends, again and again to a coordinator that serves others meanwhile. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { toBuffer } from '../../../shared/channel.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { dial } from '../../../shared/dial.ts';
import { ask } from '../../support/http-request.ts';
import {
  deepTree,
  endlessTree,
  hostileTrees,
  recordOf,
  type HostileTree,
} from '../../support/hostile-records.ts';
import { plainRecords, plainSpec } from '../../support/neighbour.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

/** To count 200,000 entries takes seconds. */
const farm = await watchedFarm({ ARCHFARM_CONTEXT_LIMITS: 'entries=20000' });
const builds = new URL('/v1/builds', farm.url);

function bodyOf(root: string, more: object): object {
  const context = { root, name: 'app', files: 1, bytes: 1 };
  const tags = [`${farm.registry}/onap/hostile`];
  return { spec: plainSpec({ platforms: ['linux/s390x'], tags, context }), ...more };
}

async function submit({ records, says }: HostileTree): Promise<void> {
  const root = digestOf(records.at(-1) ?? Buffer.alloc(0));
  const along = records.map((record) => record.toString('base64'));
  const answer = await ask(builds, {
    method: 'POST',
    body: bodyOf(root, { directories: [...along, ...plainRecords] }),
  });
  const text = JSON.stringify(answer.body);
  assert.is(answer.status, 400, text);
  assert.match(v.parse(refusal, answer.body).error.message, says, text);
}

const refusal = v.object({ error: v.object({ code: v.string(), message: v.string() }) });

for (const [what, trees] of Object.entries(hostileTrees)) {
  test(`a client describes a tree ${what}`, () =>
    farm.unharmed({ rounds: 40 }, async (round) => submit(trees[round % trees.length] ?? endlessTree)));
}

test('a client describes a tree as deep as a path may be long [X7]', () =>
  farm.unharmed({ rounds: 4, first: 1, atOnce: 2 }, () => submit(deepTree)));

test('a few records describe a tree without end, and cost nobody else his turn [X8]', () =>
  farm.unharmed({ rounds: 3, first: 1, atOnce: 1 }, () => submit(endlessTree)));

interface Want {
  readonly batch: number;
  /** What was asked for, as a tar names it. */
  readonly name: string;
  /** What it should be. */
  readonly record: Buffer;
}

/** What is sent for it: tars, and text. */
type Answer = (want: Want) => Promise<readonly (Buffer | string)[]>;

async function tarOf(
  ...entries: readonly [Partial<Header> & { readonly name: string }, Buffer][]
): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, content);
  tar.finalize();
  return buffer(tar);
}

function end({ batch }: Want): string {
  return JSON.stringify({ type: 'end', batch });
}

/** A tar whose first header is changed, its checksum made anew unless told otherwise. */
async function changed(want: Want, change: (header: Buffer) => void, sum = true): Promise<readonly Buffer[]> {
  const tar = await tarOf([{ name: want.name }, want.record]);
  const header = tar.subarray(0, 512);
  change(header);
  if (sum) {
    header.write(' '.repeat(8), 148, 'latin1');
    const total = header.reduce((all, byte) => all + byte, 0);
    header.write(`${total.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return [tar];
}

const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

/** With what is said of it, by the close of the connection or to whoever submits. */
const answers: Readonly<Record<string, readonly [Answer, says: RegExp][]>> = {
  'under a name that leads out [X1]': [
    [
      async (want) => [await tarOf([{ name: '../../etc/passwd' }, want.record]), end(want)],
      /^4400 \.\.\/\.\.\/etc\/passwd was sent and not wanted$/,
    ],
  ],
  'with a link [X2]': [
    [
      async (want) => [
        await tarOf([{ name: want.name, type: 'symlink', linkname: '/etc/passwd' }, Buffer.alloc(0)]),
        end(want),
      ],
      /sha256:\w+ is no directory record|a directory record that is not sha256:/,
    ],
  ],
  'with an archive that lies, or no message [X9]': [
    [
      async (want) => [...(await changed(want, (header) => header.write('9', 148), false)), end(want)],
      /^4400 Invalid tar header/,
    ],
    [
      async (want) => [...(await changed(want, (header) => header.write('77777777777\0', 124))), end(want)],
      /^4400 sha256:\w+ was sent with 8589934591 bytes$/,
    ],
    [async () => ['{'], /^4400 a text frame that is not JSON/],
    [async () => ['{"type":"explode"}'], /^4400 a malformed message: .*"explode"/],
  ],
  'with a bomb [X10]': [[async (want) => [bomb, end(want)], /^4400 Invalid tar header/]],
  'with bytes that are not those, or too few [X11]': [
    [
      async (want) => {
        const flipped = Buffer.from(want.record);
        flipped[40] = (flipped[40] ?? 0) ^ 1;
        return [await tarOf([{ name: want.name }, flipped]), end(want)];
      },
      /a directory record that is not sha256:/,
    ],
    [
      async (want) => [
        await tarOf([{ name: want.name }, Buffer.concat([want.record, want.record])]),
        end(want),
      ],
      /a directory record that is not sha256:/,
    ],
    // Cut, it is asked for again, and given up when it never comes whole.
    [
      async (want) => [(await tarOf([{ name: want.name }, want.record])).subarray(0, 520), end(want)],
      /directory\/sha256:\w+ was wanted 3 times and not sent/,
    ],
  ],
  'with a file that has changed [X12]': [
    [
      async (want) => {
        const error = { code: 'context-changed', message: '"app/main.py" was changed during the build' };
        return [JSON.stringify({ type: 'missing', batch: want.batch, item: want.name, error }), end(want)];
      },
      /"app\/main\.py" was changed during the build/,
    ],
  ],
};

const wantOf = v.object({
  batch: v.number(),
  items: v.tuple([v.object({ kind: v.string(), digest: v.string() })]),
});

/** What is said where a tree is submitted and then answered for like this. */
async function answered(answer: Answer): Promise<string> {
  const link = randomUUID();
  const record = recordOf('f', link, '0644', '3', '0'.repeat(64));
  const socket = dial('/v1/client/context', { coordinator: farm.url, token: undefined, query: { link } });
  socket.on('error', () => {});
  await once(socket, 'open');
  socket.on('message', (data) => {
    const { batch, items } = v.parse(wantOf, JSON.parse(toBuffer(data).toString()));
    const name = `${items[0].kind}/${items[0].digest}`;
    void answer({ batch, name, record }).then((frames) => frames.forEach((frame) => socket.send(frame)));
  });
  const abort = new AbortController();
  const closed = once(socket, 'close').then(
    ([code, reason]: unknown[]) => `${String(code)} ${String(reason)}`,
  );
  const submitted = fetch(builds, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bodyOf(digestOf(record), { link })),
    signal: abort.signal,
  }).then(async (response) => v.parse(refusal, await response.json()).error.message);
  submitted.catch(() => {});
  try {
    return await Promise.race([closed, submitted]);
  } finally {
    abort.abort();
    socket.terminate();
    await closed;
  }
}

for (const [what, cases] of Object.entries(answers)) {
  test(`a client answers for its tree ${what}`, () =>
    farm.unharmed({ rounds: 40 }, async (round) => {
      const one = cases[round % cases.length];
      assert.ok(one);
      assert.match(await answered(one[0]), one[1]);
    }));
}

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
});

test.run();
