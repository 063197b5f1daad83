/** A client whose coordinator died tells its build again, to one that has forgotten what it keeps in memory alone. */
import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextUpload } from '../../../coordinator/cli/context-upload.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { dir, memoryTree } from '../../support/memory-tree.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { buildAnswer, directories, specOf } from '../../support/submitted-builds.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const secret = Buffer.from('hunter2-hunter2').toString('base64');

/** Until `meanwhile` has ended the client serves its context. */
async function submit(
  running: RunningCoordinator,
  meanwhile: (build: string) => Promise<void> = async () => {},
): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token: testToken, link, source: tree });
  try {
    const spec = sampleSpec({
      platforms: ['linux/arm64/v8'],
      context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
      dockerfile: { root: tree.root, name: 'Dockerfile' },
      secrets: ['token'],
      waitAgent: 60_000,
    });
    const body = { spec, link, secrets: { token: secret }, idempotencyKey: 'told-twice' };
    const answer = await running.ask('/v1/builds', { method: 'POST', body });
    assert.is(answer.status, 201, JSON.stringify(answer.body));
    const { build } = v.parse(v.object({ build: v.string() }), answer.body);
    await meanwhile(build);
    return build;
  } finally {
    await upload.close();
  }
}

test('a build that is told again after a restart has the values of its secrets again', async () => {
  await using data = await temporaryDirectory();
  const durable = { data: data.path, durable: true };
  let build: string;
  {
    await using before = await runningCoordinator({}, undefined, durable);
    build = await submit(before);
  }
  await using after = await runningCoordinator({}, undefined, durable);
  assert.is(await submit(after), build, 'it is the same build');
  const agent = await after.agent();
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });
  agent.send({ type: 'ask', attempt, ask: 1, question: { kind: 'secret', id: 'token' } });
  assert.equal((await agent.wait('answer')).answer, { kind: 'secret', value: secret });
});

test('a build that is told again after a restart has its client again, for what the coordinator lacks', async () => {
  await using data = await temporaryDirectory();
  const durable = { data: data.path, cache: data.path, durable: true };
  {
    await using before = await runningCoordinator({}, undefined, durable);
    await submit(before);
  }
  await using after = await runningCoordinator({ lost: 2000 }, undefined, durable);
  await submit(after, async (build) => {
    const answer = await after.ask(`/v1/builds/${build}/complete`, { method: 'POST' });
    assert.is(answer.status, 204, JSON.stringify(answer.body));
  });
});

test('a build that is told again is the one that was accepted, whatever its registry and its agents say by now', async () => {
  await using data = await temporaryDirectory();
  const durable = { data: data.path, cache: data.path };
  // Without platforms: only whoever is connected as it is submitted could say which.
  const body = { spec: specOf({ platforms: [], waitAgent: 0 }), directories, idempotencyKey: 'told-twice' };
  let build: string;
  {
    await using before = await runningCoordinator({}, undefined, durable);
    await before.agent().then((agent) => agent.wait('welcome'));
    build = v.parse(buildAnswer, (await before.ask('/v1/builds', { method: 'POST', body })).body).build;
  }
  let asked = 0;
  await using after = await runningCoordinator(
    {},
    (_, response) => {
      asked += 1;
      response.writeHead(403).end();
      return true;
    },
    durable,
  );
  const answer = await after.ask('/v1/builds', { method: 'POST', body });
  assert.equal([answer.status, answer.body], [201, { build }]);
  assert.is(asked, 0, 'nobody is asked about what was accepted');
});

test.run();
