/** archfarm builds its own image, on a base with this machine's Node, and the image's own test runs it. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEngine } from '../../scripts/rig/engine.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { buildImage } from '../support/build-command.ts';
import { isolatedEnv } from '../support/farm-processes.ts';

const run = promisify(execFile);

/** A context whose image has node, what it links to, and a shell. */
async function nodeBase(directory: string): Promise<string> {
  const { stdout } = await run('ldd', [process.execPath]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const files = [...libraries.map((path) => [path, path]), [process.execPath, '/usr/local/bin/node']];
  for (const [from = '', to = ''] of [...files, ['/bin/busybox', '/bin/sh']]) {
    const target = `${directory}/root${to}`;
    await mkdir(dirname(target), { recursive: true });
    await copyFile(from, target);
    await chmod(target, 0o755);
  }
  await writeFile(`${directory}/Dockerfile`, 'FROM scratch\nCOPY root/ /\n');
  return directory;
}

test('the coordinator’s image is built by archfarm, which runs in it', async () => {
  await using directory = await scratchDirectory('own-image');
  await using registry = await startRegistry();
  await using engine = await startEngine({ name: 'own-image-engine' });
  const env = { ...(await isolatedEnv(`${directory.path}/home`)), DOCKER_HOST: engine.host };
  const base = `${registry.host}/node`;
  await buildImage([await nodeBase(`${directory.path}/base`), '-t', base], { env });

  const context = `${directory.path}/image`;
  await cp('scripts/image', context, { recursive: true });
  await cp(dirname(archfarmCommand), `${context}/dist`, { recursive: true });
  const { result } = await buildImage(
    ['coordinator', '--project', `${context}/compose.yaml`, '--platform', `linux/${architecture()}`],
    { env: { ...env, REGISTRY: registry.host, NODE_IMAGE: base } },
  );
  assert.is(result['image.name'], `${registry.host}/archfarm/coordinator:latest`);
  const image = `${registry.host}/archfarm/coordinator@${result['containerimage.digest']}`;
  const inIt = ['run', '--rm', '--network=none', image, '--version'];
  const { stdout } = await run('docker', ['-H', engine.host, ...inIt]);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

test.run();
