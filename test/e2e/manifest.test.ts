/** The verbs for lists beside the docker command of this machine: what one begins or publishes, the other reads. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { archfarm, type EndedCommand } from '../support/archfarm-command.ts';
import { pullDocument, pushSample } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const run = promisify(execFile);

interface Bench extends AsyncDisposable {
  readonly registry: RunningRegistry;
  readonly host: string;
  readonly directory: string;
  /** Arguments without spaces; `HOST` in them is the registry. */
  archfarm(line: string): Promise<EndedCommand>;
  docker(line: string): Promise<EndedCommand>;
}

/** `app-amd64`, `app-arm64v8` and, of OCI type, `oci-amd64`. */
async function startBench(): Promise<Bench> {
  await using started = new Resources();
  const registry = started.use(await startRegistry());
  const directory = started.use(await temporaryDirectory());
  const { host } = registry;
  const amd64 = { os: 'linux', architecture: 'amd64' };
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
  await pushSample({ host, repository: 'app-amd64' }, { platform: amd64 });
  await pushSample({ host, repository: 'app-arm64v8' }, { platform: arm64 });
  const env = { ...process.env, DOCKER_CONFIG: `${directory.path}/config` };
  const cwd = `${directory.path}/work`;
  await mkdir(cwd);
  const words = (line: string): string[] => line.replaceAll('HOST', host).split(' ');
  const resources = started.move();
  return {
    registry,
    host,
    directory: cwd,
    archfarm: (line) => archfarm(words(line), { env, cwd }),
    docker: (line) =>
      run('docker', words(line), { env }).then(
        ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
        ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => {
          return { status: code, stdout, stderr };
        },
      ),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

const members = 'HOST/app-arm64v8 HOST/app-amd64';

/** Older dockers print no `Raw`. */
function withoutRaw(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (key === 'Raw' ? undefined : value));
}

test('create, annotate, inspect and push give what docker gives', async () => {
  await using bench = await startBench();
  const { host } = bench;
  const both = async (line: string): Promise<[ours: EndedCommand, theirs: EndedCommand]> => [
    await bench.archfarm(`manifest ${line}`),
    await bench.docker(`manifest ${line}`),
  ];
  for (const line of [
    `create --insecure HOST/list ${members}`,
    'annotate HOST/list HOST/app-arm64v8 --os linux --arch arm --variant v7 --os-features a,b',
    'annotate --os-version 1.2 HOST/list HOST/app-amd64:latest',
    'inspect HOST/list',
    'inspect HOST/list HOST/app-amd64',
  ]) {
    const [ours, theirs] = await both(line);
    assert.is(ours.stdout, theirs.stdout, line);
    assert.is(ours.status, 0, ours.stderr);
  }
  for (const line of ['inspect -v HOST/list', 'inspect --verbose HOST/list HOST/app-arm64v8']) {
    const [ours, theirs] = await both(line);
    assert.equal(withoutRaw(ours.stdout), withoutRaw(theirs.stdout), line);
  }
  const ours = await bench.archfarm('manifest push --purge HOST/list');
  const first = await pullDocument({ host, repository: 'list' }, 'latest');
  const theirs = await bench.docker('manifest push --insecure --purge HOST/list');
  const second = await pullDocument({ host, repository: 'list' }, 'latest');
  assert.is(ours.stdout, theirs.stdout);
  assert.equal(first, second);
  assert.equal(await readdir(bench.directory), []);
});

test('images that say no platform, or none there is, can be annotated with the right one', async () => {
  await using bench = await startBench();
  const { host } = bench;
  const platforms = { odd: { os: 'linux', architecture: 'aarch64' }, old: { os: '', architecture: '' } };
  for (const [repository, platform] of Object.entries(platforms))
    await pushSample({ host, repository }, { platform });
  for (const line of [
    'create --insecure HOST/list HOST/odd HOST/old',
    'inspect HOST/list',
    'annotate HOST/list HOST/odd --arch arm64 --variant v8',
    'annotate HOST/list HOST/old --os linux --arch s390x',
    'inspect HOST/list',
    'push --insecure HOST/list',
  ]) {
    const ours = await bench.archfarm(`manifest ${line}`);
    const theirs = await bench.docker(`manifest ${line}`);
    assert.is(ours.status, 0, `${line}: ${ours.stderr}`);
    assert.is(ours.stdout, theirs.stdout, line);
  }
  await bench.archfarm('manifest create HOST/other HOST/odd HOST/old');
  const pushed = await bench.archfarm('manifest push HOST/other');
  assert.is(pushed.status, 2, pushed.stderr);
  assert.match(pushed.stderr, /unknown platform "linux\/aarch64"|does not say for which platform/);
});

test('what it refuses it refuses as docker does', async () => {
  await using bench = await startBench();
  await bench.archfarm(`manifest create HOST/list ${members}`);
  await bench.docker(`manifest create --insecure HOST/list ${members}`);
  const golden: [line: string, status: number][] = [
    [`create --insecure HOST/list ${members}`, 2],
    ['create --insecure HOST/other HOST/no', 1],
    ['annotate HOST/list HOST/no --arch arm', 1],
    ['push HOST/other', 1],
    ['inspect HOST/list HOST/no', 1],
    ['inspect --insecure HOST/no', 1],
    ['rm HOST/list HOST/no', 1],
    ['rm HOST/list', 1],
  ];
  for (const [line, status] of golden) {
    const ours = await bench.archfarm(`manifest ${line}`);
    const theirs = await bench.docker(`manifest ${line}`);
    assert.is(ours.stderr.split('\n')[0], `archfarm: ${theirs.stderr.trim()}`, line);
    assert.is(ours.status, status, line);
  }
  await bench.archfarm(`manifest create HOST/list ${members}`);
  const pair = await bench.archfarm('manifest annotate HOST/list HOST/app-arm64v8 --arch armv7');
  assert.is(pair.status, 2);
  assert.match(pair.stderr, 'did you mean linux/arm/v7?');
  await bench.archfarm('manifest annotate HOST/list HOST/app-arm64v8 --arch arm --variant v6');
  const left = await bench.archfarm('manifest annotate HOST/list HOST/app-arm64v8 --arch arm64');
  assert.is(left.status, 2);
  assert.match(left.stderr, /arm64 has no variant v6, which .*app-arm64v8 has\n {2}give its variant too/);
});

test('a list that was begun is a file, which pins its members and is a specification too', async () => {
  await using bench = await startBench();
  const { host, directory } = bench;
  await bench.archfarm('manifest create --file list.json HOST/list HOST/app-amd64');
  const { digest } = (await pullDocument({ host, repository: 'app-amd64' }, 'latest'))!;
  await pushSample({ host, repository: 'app-amd64' }, { platform: { os: 'linux', architecture: 'amd64' } });
  const amended = await bench.archfarm('manifest create --file list.json -a HOST/list HOST/app-arm64v8');
  assert.is(amended.stdout, `Created manifest list ${host}/list:latest\n`);
  assert.ok((await readFile(`${directory}/list.json`, 'utf8')).includes(`app-amd64:latest@${digest}`));
  const wrong = await bench.archfarm('manifest push --file list.json HOST/other');
  assert.is(wrong.status, 2);
  assert.match(wrong.stderr, `list.json holds the list ${host}/list:latest, not ${host}/other:latest`);
  const missing = await bench.archfarm('manifest inspect --file lost.json HOST/app-amd64');
  assert.is(missing.status, 1);
  assert.match(missing.stderr, 'there is no lost.json here');
  const pushed = await bench.archfarm('push from-spec list.json');
  assert.match(pushed.stdout, /^Digest: sha256:[0-9a-f]{64} \d+\n$/);
  const list = await pullDocument({ host, repository: 'list' }, 'latest');
  assert.ok(list?.bytes.includes(digest));
  assert.is(pushed.stdout, `Digest: ${list?.digest} ${list?.bytes.length}\n`);
});

test('a file of more than docker knows, tags and annotations, keeps them and is published with them', async () => {
  await using bench = await startBench();
  const { host, directory } = bench;
  const begin = `image: ${host}/list\ntags: ["1.0", "2"]\nannotations: {note: kept}`;
  await writeFiles(directory, { 'list.yaml': `${begin}\nmanifests:\n  - image: ${host}/app-amd64\n` });
  const noted = await bench.archfarm(
    'manifest annotate --file list.yaml HOST/list HOST/app-amd64 --arch 386',
  );
  assert.is(noted.status, 0, noted.stderr);
  const pushed = await bench.archfarm('manifest push --file list.yaml HOST/list');
  for (const tag of ['latest', '1.0', '2']) {
    const list = await pullDocument({ host, repository: 'list' }, tag);
    assert.is(list?.digest, pushed.stdout.trimEnd().split('\n').at(-1), pushed.stderr);
    assert.match(list?.bytes.toString() ?? '', /"annotations": \{\s*"note": "kept"/);
  }
});

test('one command creates and publishes, another reads the specifications of manifest-tool', async () => {
  await using bench = await startBench();
  const { host, directory, registry } = bench;
  const created = await bench.archfarm(`manifest create --push HOST/list ${members}`);
  assert.is(created.status, 0, created.stderr);
  const list = await pullDocument({ host, repository: 'list' }, 'latest');
  assert.is(created.stdout.trimEnd().split('\n').at(-1), list?.digest);
  assert.equal(await readdir(directory), []);

  await writeFiles(directory, {
    'spec.yaml': `image: ${host}/spec
tags: [v1]
manifests:
  - image: ${host}/app-amd64
    platform: {os: linux, architecture: amd64}
  - image: ${host}/app-arm64v8
    platform: {os: linux, architecture: arm64, variant: v8}
  - image: ${host}/app-s390x
    platform: {os: linux, architecture: s390x}
`,
  });
  const refused = await bench.archfarm('push from-spec spec.yaml');
  assert.is(refused.status, 1);
  assert.match(refused.stderr, `no such manifest: ${host}/app-s390x:latest`);
  assert.match(refused.stderr, '; --ignore-missing publishes without it');
  const pushed = await bench.archfarm('pushml --ignore-missing spec.yaml');
  assert.is(pushed.stdout, `Digest: ${list?.digest} ${list?.bytes.length}\n`);
  assert.match(pushed.stderr, /^archfarm: WARNING: no such manifest/);
  for (const tag of ['latest', 'v1'])
    assert.is((await pullDocument({ host, repository: 'spec' }, tag))?.digest, list?.digest);
  // As manifest-tool has it, before the verb.
  const early = await bench.archfarm('push --plain-http --type oci --ignore-missing from-spec spec.yaml');
  assert.is(early.status, 0, early.stderr);
  const { mediaType } = (await pullDocument({ host, repository: 'spec' }, 'v1')) ?? {};
  assert.is(mediaType, 'application/vnd.oci.image.index.v1+json');

  const before = (await registry.accessLog()).length;
  const images = '--template HOST/app-ARCHVARIANT --target HOST/args';
  const args = await bench.archfarm(`push from-args --platforms linux/amd64,linux/arm64/v8 ${images}`);
  assert.is(args.stdout, pushed.stdout);
  const between = (await registry.accessLog()).length;
  await bench.docker(`manifest create --insecure HOST/docker ${members}`);
  await bench.docker('manifest push --insecure HOST/docker');
  const after = (await registry.accessLog()).length;
  // Peers need 23 and more for the same.
  assert.is(between - before, 13);
  assert.ok(after - between > 13, `${after - between}`);
});

test('says what a reference holds, and which of it a client gets', async () => {
  await using bench = await startBench();
  const { host } = bench;
  await bench.archfarm(`manifest create --push HOST/list ${members}`);
  const human = await bench.archfarm('inspect HOST/list');
  assert.match(human.stdout, `Name:   ${host}/list:latest (Type: `);
  const plain = await bench.archfarm('inspect --json HOST/list');
  assert.is(plain.stdout, (await bench.docker('manifest inspect --insecure HOST/list')).stdout);
  const v7 = await bench.archfarm('platforms HOST/list --for linux/arm64/v8.2 --json');
  const { digest } = (await pullDocument({ host, repository: 'app-arm64v8' }, 'latest'))!;
  assert.equal(JSON.parse(v7.stdout), { platform: 'linux/arm64/v8', digest });
  const none = await bench.archfarm('platforms HOST/list --for linux/s390x');
  assert.is(none.status, 1);
  const missing = await bench.archfarm('inspect HOST/no');
  assert.is(missing.status, 1);
  assert.match(missing.stderr, /^archfarm: no such manifest: .*\/no:latest\n {2}check the name/);
});

test.run();
