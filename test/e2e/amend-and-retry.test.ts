/** Builds that go on from others: platforms added later, failures built again, and what their client is asked for. */
import { mkdir, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, framesOf, platformOf, runBuild } from '../support/build-command.ts';
import { publishBase } from '../support/image-run.ts';
import { readPublished, type PublishedList } from '../support/published-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const directory = await temporaryDirectory();
const base = await publishBase(farm);
const { env } = farm;
const amd64 = 'linux/amd64';
const arm64 = 'linux/arm64/v8';
const emulated = ['--platform', 'linux/arm64', '--allow-emulation'];
const elsewhere = `${directory.path}/elsewhere`;
await mkdir(elsewhere);

/** Each platform copies a file of its own, so that a build of one asks for no file of the other. */
const apart = [
  `FROM ${base} AS of-amd64`,
  'COPY amd64.txt /text',
  `FROM ${base} AS of-arm64`,
  'COPY arm64.txt /text',
  'FROM of-$TARGETARCH',
  '',
].join('\n');

function context(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  return writeFiles(`${directory.path}/${name}`, files);
}

async function published(repository: string, tag?: string): Promise<PublishedList> {
  const list = await readPublished({ host: farm.registry, repository }, tag);
  assert.ok(list, `${repository} is not published`);
  return list;
}

/** A command that goes on from a build, with its result. */
async function goOn(args: readonly string[], cwd = elsewhere) {
  const ended = await archfarm([...args, '--progress', 'rawjson'], { env, cwd });
  const last = framesOf(ended.stderr).at(-1);
  return { ...ended, result: last?.type === 'result' ? last.result : undefined };
}

test('amend adds a platform to every tag of a build, without its client and without touching the others', async () => {
  const image = `${farm.registry}/added`;
  const path = await context('added', { Dockerfile: `FROM ${base}\nCOPY . /\n`, text: 'as it was' });
  const tags = ['-t', image, '-t', `${image}:2`];
  await buildImage(['--platform', amd64, ...tags, path], { env });
  const before = await published('added');
  assert.equal(before.platforms, [amd64]);
  await writeFile(`${path}/text`, 'as it is by now');

  const amended = await goOn(['amend', image, ...emulated]);
  assert.is(amended.status, 0, amended.stderr);
  const after = await published('added');
  assert.is(amended.stdout, `${after.digest}\n`);
  assert.equal(after.platforms, [amd64, arm64]);
  assert.ok(after.documents[1]?.equals(before.documents[1]!), 'the child that was there is another');
  assert.is((await published('added', '2')).digest, after.digest);
  assert.is(amended.result?.origin?.type, 'amend');
  assert.equal(
    amended.result?.platforms.map(({ platform }) => platform),
    [arm64],
  );

  // The list as it is now, not as a build made it.
  const again = await goOn(['amend', amended.result?.origin?.build ?? '', '--platform', amd64]);
  assert.is(again.status, 0, again.stderr);
  assert.equal((await published('added')).platforms, [amd64, arm64]);
});

test('a newer build is not amended by way of an older one, and what fails or goes on is not amended at all', async () => {
  const image = `${farm.registry}/overtaken`;
  const path = await context('overtaken', { Dockerfile: `FROM ${base}\nCOPY . /\n`, text: 'one' });
  const { result: older } = await buildImage(['--platform', amd64, '-t', image, '-t', `${image}:1`, path], {
    env,
  });
  await writeFile(`${path}/text`, 'two');
  const { result: newer } = await buildImage(['--platform', amd64, '-t', image, path], { env });
  const latest = await published('overtaken');

  const one = await goOn(['amend', older.build, ...emulated]);
  assert.is(one.status, 0, one.stderr);
  assert.match(one.stderr, new RegExp(`the newer build ${newer.build} has published .*/overtaken:latest`));
  assert.equal((await published('overtaken', '1')).platforms, [amd64, arm64]);
  assert.is((await published('overtaken')).digest, latest.digest);

  const retried = await archfarm(['retry', older.build], { env });
  assert.is(retried.status, 2);
  assert.match(retried.stderr, /build \w+ succeeded: there is nothing to retry/);
  const unknown = await archfarm(['amend', `${farm.registry}/nowhere`, ...emulated], { env });
  assert.is(unknown.status, 1);
  assert.match(unknown.stderr, /no build of this coordinator has published .*\/nowhere:latest/);
});

test('what the coordinator lacks is asked of the client, and a file that differs now is named', async () => {
  const image = `${farm.registry}/lacking`;
  const files = { Dockerfile: apart, 'amd64.txt': 'amd64', 'arm64.txt': 'arm64' };
  const path = await context('lacking', files);
  const { result } = await buildImage(['--platform', amd64, '-t', image, path], { env });

  const nowhere = await goOn(['amend', image, ...emulated]);
  assert.is(nowhere.status, 2, nowhere.stderr);
  assert.match(
    nowhere.stderr,
    /the coordinator lacks contents of build \w+, and its context cannot be read here/,
  );
  await writeFile(`${path}/arm64.txt`, 'changed');
  await writeFile(`${path}/amd64.txt`, 'changed, too, but here already');
  const changed = await goOn(['amend', image, ...emulated, '--context', path]);
  assert.is(changed.status, 2, changed.stderr);
  assert.is(changed.result?.error?.code, 'context-changed');
  assert.match(changed.result?.error?.message ?? '', /"arm64\.txt" differs now/);
  assert.equal((await published('lacking')).platforms, [amd64]);

  await writeFile(`${path}/arm64.txt`, files['arm64.txt']);
  // Found by the name that the build had.
  const amended = await goOn(['retry', changed.result?.build ?? ''], directory.path);
  assert.is(amended.status, 0, amended.stderr);
  assert.equal(amended.result?.origin, { type: 'amend', build: result.build });
  assert.equal((await published('lacking')).platforms, [amd64, arm64]);
});

test('retry builds again only what failed, and asks for secrets again', async () => {
  const image = `${farm.registry}/retried`;
  const check =
    'RUN --mount=type=secret,id=word [ "$TARGETARCH" = amd64 ] || [ "$(cat /run/secrets/word)" = right ]';
  const path = await context('retried', { Dockerfile: `FROM ${base}\nARG TARGETARCH\n${check}\n` });
  await writeFile(`${directory.path}/word`, 'wrong');
  const secret = ['--secret', `id=word,src=${directory.path}/word`];
  const both = ['--platform', `${amd64},${arm64}`, '--allow-emulation'];
  const failed = await runBuild([...both, ...secret, '-t', image, path], { env });
  assert.is(failed.status, 1, failed.stderr);
  const { build } = failed.result;

  const without = await archfarm(['retry', build], { env, cwd: elsewhere });
  assert.is(without.status, 2);
  assert.match(without.stderr, /needs its secret "word" again\n {2}.*--secret id=word,src=FILE/);

  await writeFile(`${directory.path}/word`, 'right');
  const retried = await goOn(['retry', build.slice(0, 10), ...secret]);
  assert.is(retried.status, 0, retried.stderr);
  const { result } = retried;
  assert.ok(result);
  assert.equal(result.origin, { type: 'retry', build });
  assert.is(platformOf(result, amd64).attempts.length, 0, 'what was pushed is not built again');
  assert.is(platformOf(result, amd64).digest, platformOf(failed.result, amd64).digest);
  assert.is(platformOf(result, arm64).attempts.length, 1);
  assert.equal((await published('retried')).platforms, [amd64, arm64]);
});

test('a platform whose agent was away is built once it is back', async () => {
  const image = `${farm.registry}/away`;
  const path = await context('away', { Dockerfile: `FROM ${base}\nRUN true\n` });
  const agent = farm.agents.get('b')!;
  agent.kill('SIGTERM');
  await agent.ended;
  const both = ['--platform', `${amd64},${arm64}`, '--allow-emulation', '--wait-agent', '1s'];
  const failed = await runBuild([...both, '-t', image, path], { env });
  assert.is(failed.status, 4, failed.stderr);
  await agent.restart();
  const retried = await goOn(['retry', failed.result.build]);
  assert.is(retried.status, 0, retried.stderr);
  assert.equal((await published('away')).platforms, [amd64, arm64]);
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();
