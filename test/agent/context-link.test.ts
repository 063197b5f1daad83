import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ContextLink } from '../../agent/context-link.ts';
import { digestOf } from '../../shared/context/encoding.ts';
import { silentLogger } from '../../shared/log.ts';
import { defaultTimers } from '../../shared/timers.ts';
import { contextServer } from '../support/context-server.ts';
import { collect, partOf } from '../support/memory-tree.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const megabyte = 1024 * 1024;

test('of a large content that changed a little, only the changed pieces are sent and count', async () => {
  const content = randomBytes(40 * megabyte);
  const next = Buffer.from(content);
  randomBytes(4096).copy(next, 20 * megabyte);
  const contents = [content, next];
  const held = new Map(contents.map((each) => [digestOf(each), each]));
  await using server = await contextServer({ open: async (item) => partOf(item, held) }, { header: true });
  await using directory = await temporaryDirectory();
  const link = await ContextLink.open({
    config: {
      coordinator: new URL(`http://${server.address}`),
      token: undefined,
      trust: () => ({}),
      name: 'a',
      cache: join(directory.path, 'cache'),
      contextStore: {},
    },
    timers: defaultTimers,
    log: silentLogger,
  });
  const signal = AbortSignal.timeout(300_000);
  const sent: number[] = [];
  for (const each of [content, next, next]) {
    using job = link.forJob();
    assert.ok((await collect(await job.blob(digestOf(each), each.length, signal))).equals(each));
    sent.push(job.sentBytes);
  }
  await link.close();
  const [first, second = Infinity, third] = sent;
  assert.is(first, content.length);
  assert.ok(second > 4096 && second <= 48 * 1024, `${second} bytes counted`);
  assert.is(third, 0);
});

test.run();
