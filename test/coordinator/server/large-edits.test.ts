/** An edit of a large file, from the client's disk through a coordinator to an agent's store, over real sockets. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextLink } from '../../../agent/context-link.ts';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { scanContext } from '../../../coordinator/context/scan.ts';
import { SnapshotSource, type Snapshot } from '../../../coordinator/context/snapshot.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import { silentLogger } from '../../../shared/log.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { collect } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const platform = 'linux/amd64';

async function submit(running: RunningCoordinator, { root, times }: Snapshot, link: string): Promise<string> {
  const tree = { root, times, name: 'c', files: 2, bytes: 1 };
  const spec = sampleSpec({ platforms: [platform], context: tree, dockerfile: { root, name: 'Dockerfile' } });
  const answer = await running.ask('/v1/builds', { method: 'POST', body: { spec, link } });
  return v.parse(v.object({ build: v.string() }), answer.body).build;
}

test('of 4 KiB that change in a large file less than 64 KiB travel on each hop', async () => {
  await using running = await runningCoordinator();
  await using context = await temporaryDirectory();
  await using data = await temporaryDirectory();
  const signal = AbortSignal.timeout(120_000);
  const agent = await running.agent({
    name: 'worker',
    session: 'session-worker',
    platforms: [{ platform, native: true }],
    slots: 3,
  });
  const contents = await ContextLink.open({
    config: {
      coordinator: running.url,
      token: testToken,
      trust: () => ({}),
      name: 'worker',
      cache: data.path,
      contextStore: {},
    },
    timers: defaultTimers,
    log: silentLogger,
  });

  /** Bytes to the coordinator and to the agent for a build of a directory that holds this. */
  async function build(large: Buffer, count: number): Promise<readonly [up: number, down: number]> {
    await writeFile(join(context.path, 'large'), large);
    await writeFile(join(context.path, 'Dockerfile'), 'FROM scratch\nCOPY large /\n');
    const snapshot = await scanContext(context.path, { signal });
    const source = new SnapshotSource([snapshot]);
    let up = 0;
    const link = randomBytes(12).toString('base64url');
    const upload = new ContextUpload({
      coordinator: running.url,
      token: testToken,
      link,
      source: {
        async open(item, asked) {
          const content = await source.open(item, asked);
          up += content.size;
          return content;
        },
      },
    });
    try {
      const id = await submit(running, snapshot, link);
      const { attempt } = await agent.wait('offer', count);
      agent.send({ type: 'accept', attempt });
      using job = contents.forJob();
      await job.prepare([snapshot], { signal });
      const read = await collect(await job.blob(digestOf(large), large.length, signal));
      assert.ok(read.equals(large));
      assert.is((await running.ask(`/v1/builds/${id}/complete`, { method: 'POST' })).status, 204);
      return [up, job.sentBytes];
    } finally {
      await upload.close();
    }
  }

  try {
    const large = randomBytes(12 * 1024 * 1024);
    const [up, down] = await build(large, 1);
    assert.ok(up > large.length && down >= large.length, `${up} and ${down} bytes at first`);
    const at = large.length / 2;
    const edited = Buffer.concat([large.subarray(0, at), randomBytes(4096), large.subarray(at + 4096)]);
    const inserted = Buffer.concat([edited.subarray(0, at), randomBytes(4096), edited.subarray(at)]);
    for (const [index, next] of [edited, inserted].entries()) {
      for (const bytes of await build(next, index + 2))
        assert.ok(bytes > 4096 && bytes < 64 * 1024, `${bytes} bytes`);
    }
  } finally {
    await contents.close();
  }
});

test.run();
