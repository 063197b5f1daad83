import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { install } from '../../agent/install.ts';
import { failureOf } from '../support/failure.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

const env = '/etc/archfarm/agent.env';
const unit = '/etc/systemd/system/archfarm-agent.service';

function read(root: TemporaryDirectory, path: string): Promise<string> {
  return readFile(join(root.path, path), 'utf8');
}

async function modeOf(root: TemporaryDirectory, path: string): Promise<string> {
  return ((await stat(join(root.path, path))).mode & 0o777).toString(8);
}

async function put(root: TemporaryDirectory, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root.path, path)), { recursive: true });
  await writeFile(join(root.path, path), text, { mode: 0o644 });
}

test('the service, its users and its environment are put in place', async () => {
  await using root = await temporaryDirectory();
  const said = await install({ root: root.path });
  const files = [
    'etc/archfarm/agent.env',
    'etc/systemd/system/archfarm-agent.service',
    'usr/lib/sysusers.d/archfarm.conf',
    'usr/local/lib/archfarm/archfarm-agent.js',
  ];
  const found = await readdir(root.path, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(root.path.length + 1));
  assert.equal(paths.toSorted(), files);
  for (const file of files) assert.match(said, `installed ${join(root.path, file)}\n`);
  assert.match(said, 'start it: systemctl enable --now archfarm-agent.service\n');
  assert.equal([await modeOf(root, env), await modeOf(root, unit)], ['600', '644']);
  const text = await read(root, unit);
  assert.match(
    text,
    new RegExp(`^ExecStart=${process.execPath} /usr/local/lib/archfarm/archfarm-agent.js run$`, 'm'),
  );
  assert.match(text, 'EnvironmentFile=-/etc/archfarm/agent.env');
});

test('the coordinator’s service comes on request, started by the same node', async () => {
  await using root = await temporaryDirectory();
  await using programs = await temporaryDirectory();
  const [node = '', started = ''] = process.argv;
  process.argv.splice(0, 2, node, join(programs.path, 'archfarm-agent.js'));
  await writeFile(join(programs.path, 'archfarm-agent.js'), '');
  const alone = await failureOf(install({ root: root.path, alsoCoordinator: true }));
  assert.match(alone.message, `there is no ${programs.path}/archfarm.js`);
  await writeFile(join(programs.path, 'archfarm.js'), '');
  const said = await install({ root: root.path, alsoCoordinator: true });
  process.argv.splice(0, 2, node, started);
  assert.match(said, 'systemctl enable --now archfarm-agent.service archfarm-coordinator.service');
  assert.match(
    await read(root, '/etc/systemd/system/archfarm-coordinator.service'),
    new RegExp(`^ExecStart=${process.execPath} /.*/archfarm.js serve --data `, 'm'),
  );
});

test('settings that are given replace theirs, and the others are kept', async () => {
  await using root = await temporaryDirectory();
  await using dir = await temporaryDirectory();
  const tokenFile = join(dir.path, 'token');
  await writeFile(tokenFile, 'new-$&-token\n');
  const before = '# my farm\n# ARCHFARM_TOKEN=\nARCHFARM_NAME=pi\nARCHFARM_TOKEN=old\nDOCKER_HOST=unix:///x';
  await put(root, env, before);
  await install({ root: root.path, coordinator: 'wss://farm.example:7480', tokenFile });
  assert.is(
    await read(root, env),
    '# my farm\n# ARCHFARM_TOKEN=\nARCHFARM_NAME=pi\nARCHFARM_TOKEN=new-$&-token\nDOCKER_HOST=unix:///x\n' +
      'ARCHFARM_COORDINATOR=https://farm.example:7480/\n',
  );
  assert.is(await modeOf(root, env), '600');
  await install({ root: root.path });
  assert.match(await read(root, env), 'ARCHFARM_TOKEN=new-$&-token\n');
});

test('a fresh environment file has the given settings in place of its examples', async () => {
  await using root = await temporaryDirectory();
  await install({ root: root.path, coordinator: 'farm:7480' });
  const text = await read(root, env);
  assert.match(text, /^ARCHFARM_COORDINATOR=https:\/\/farm:7480\/$/m);
  assert.match(text, /^# ARCHFARM_TOKEN=$/m);
});

test('a dry run prints the files and writes none', async () => {
  await using root = await temporaryDirectory();
  const said = await install({ root: root.path, dryRun: true });
  for (const path of [env, unit]) assert.match(said, `# ${path}\n`);
  assert.equal(await readdir(root.path), []);
});

test('what cannot be read or written is named', async () => {
  await using root = await temporaryDirectory();
  const noToken = await failureOf(install({ root: root.path, tokenFile: '/nonexistent/token' }));
  assert.match(noToken.message, 'cannot read the token file /nonexistent/token');
  const twoLines = join(root.path, 'token');
  await writeFile(twoLines, 'one\nDOCKER_HOST=tcp://x\n');
  const noOneToken = await failureOf(install({ root: root.path, tokenFile: twoLines }));
  assert.match(noOneToken.message, `the token file ${twoLines} does not hold one token`);
  const wrongAddress = await failureOf(install({ root: root.path, coordinator: 'ftp://x' }));
  assert.is(wrongAddress.code, 'usage');
  await put(root, '/etc/systemd', 'a file in the way');
  const inTheWay = await failureOf(install({ root: root.path }));
  assert.is(inTheWay.code, 'config');
  assert.match(inTheWay.message, `cannot write ${join(root.path, unit)}`);
});

test.run();
