/** What `npm run package` makes: looked at as Debian does, and installed, upgraded, removed and purged for real. */
import { execFile } from 'node:child_process';
import { copyFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startDaemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { debianSystem, type DebianSystem } from '../support/debian-system.ts';
import { isServed, isolatedEnv } from '../support/farm-processes.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);

let directory: TemporaryDirectory;
let packages: string;
let debs: Record<'agent' | 'coordinator', string>;

test.before(async () => {
  directory = await temporaryDirectory();
  packages = join(directory.path, 'packages');
  await run(process.execPath, ['--import', 'tsx', 'scripts/package.ts', packages]);
  const files = await readdir(packages);
  const find = (start: string): string =>
    join(packages, files.find((each) => each.startsWith(start)) ?? start);
  debs = { agent: find('archfarm-agent_'), coordinator: find('archfarm-coordinator_') };
});

test.after(async () => {
  await directory[Symbol.asyncDispose]();
});

test('the agent is one small file that needs nothing beside it', async () => {
  const alone = join(directory.path, 'alone.js');
  await copyFile(join(packages, 'archfarm-agent.js'), alone);
  assert.ok((await stat(alone)).size < 490_000);
  const said = async (...words: readonly string[]): Promise<string> =>
    (await run(process.execPath, [alone, ...words], { cwd: directory.path })).stdout;
  assert.match(await said('--version'), /^\d+\.\d+\.\d+\n$/);
  const installed = await said('install', '--dry-run');
  for (const text of ['[Service]', 'ExecStart=', 'u archfarm-agent']) assert.match(installed, text);
});

test('Debian’s own check finds no error in the packages', async () => {
  // It leaves files of its own behind.
  const env = { ...process.env, TMPDIR: directory.path };
  await run('lintian', ['--allow-root', '--fail-on', 'error', debs.agent, debs.coordinator], { env });
});

test('packages tell which Node they need', async () => {
  for (const deb of Object.values(debs)) {
    const { stdout } = await run('dpkg-deb', ['--field', deb, 'Depends']);
    assert.match(stdout, 'nodejs (>= 20.18.1)');
  }
});

/** Its output; throws where it fails. Node may be here without its package. */
async function done(system: DebianSystem, script: string): Promise<string> {
  const { status, output } = await system.sh(
    script.replace('dpkg ', 'dpkg --ignore-depends=nodejs,adduser '),
  );
  assert.is(status, 0, output);
  return output;
}

for (const { kind, name, command, verb, user } of [
  { kind: 'agent', name: 'archfarm-agent', command: 'archfarm-agent', verb: 'run', user: 'archfarm-agent' },
  // Of the commands that have a program of their own.
  {
    kind: 'coordinator',
    name: 'archfarm-coordinator',
    command: 'archfarm',
    verb: 'inspect',
    user: 'archfarm',
  },
] as const) {
  test(`the ${kind}'s package comes, is upgraded, goes and leaves nothing`, async () => {
    await using apart = await temporaryDirectory();
    const deb = join(apart.path, 'it.deb');
    await copyFile(debs[kind], deb);
    await using system = await debianSystem(apart.path);
    const settings = `/etc/archfarm/${kind}.env`;
    const data = `/var/lib/${user}`;
    // A coordinator of root's may have been here.
    await done(system, `rm -rf ${data}`);

    const said = await done(system, `dpkg -i ${deb}`);
    assert.match(said, `systemctl enable --now ${name}.service`);
    assert.match(await done(system, `${command} --version`), /^\d+\.\d+\.\d+\n$/);
    assert.match(await done(system, `${command} ${verb} --help`), `Usage: ${command} ${verb}`);
    assert.match(await done(system, `getent passwd ${user}`), `:${data}:`);
    assert.is(await done(system, `stat -c '%a %U' ${settings}`), '600 root\n');
    assert.is(await done(system, `stat -c '%a %U' ${data}`), `700 ${user}\n`);
    const verified = await done(system, `systemd-analyze verify /lib/systemd/system/${name}.service`);
    assert.not.match(verified, 'archfarm');

    await done(system, `echo ARCHFARM_TOKEN=mine >> ${settings}; touch ${data}/kept`);
    const again = await done(system, `dpkg -i ${deb}`);
    assert.not.match(again, 'enable --now', 'it is set up already');
    assert.match(await done(system, `cat ${settings}`), 'ARCHFARM_TOKEN=mine');

    await done(system, `dpkg -r ${name}`);
    assert.is((await system.sh(`command -v ${command}`)).output, '');
    assert.match(await done(system, `cat ${settings}; ls ${data}`), /ARCHFARM_TOKEN=mine\nkept\n$/);

    await done(system, `dpkg -P ${name}`);
    const left = await done(system, `ls -d ${data} /etc/archfarm; getent passwd ${user}; true`);
    assert.not.match(left, /^\/|^archfarm/m);
  });
}

test('a host that has the package joins as root, and its service can read who it is', async () => {
  await using apart = await temporaryDirectory();
  const deb = join(apart.path, 'it.deb');
  await copyFile(debs.agent, deb);
  await using system = await debianSystem(apart.path);
  assert.match(await done(system, `dpkg -i ${deb}`), 'run that with sudo');
  const address = `127.0.0.1:${await freePort()}`;
  const data = `${apart.path}/coordinator`;
  const home = await isolatedEnv(apart.path);
  await using _coordinator = await startDaemon(
    [process.execPath, archfarmCommand, 'serve', '--tls', '--listen', address, '--data', data],
    {
      log: `${apart.path}/coordinator.log`,
      env: { ...home, ARCHFARM_TOKEN: 'shared' },
      ready: () => isServed(address),
    },
  );
  const added = await archfarm(['agents', 'add', 'here'], {
    env: {
      ...home,
      ARCHFARM_COORDINATOR: `https://${address}`,
      ARCHFARM_TOKEN: 'shared',
      ARCHFARM_CA: `${data}/tls/ca.crt`,
    },
  });
  assert.is(added.status, 0, added.stderr);
  await done(system, added.stdout.trim());
  const asService = 'setpriv --reuid archfarm-agent --regid archfarm-agent --clear-groups';
  const identity = '/var/lib/archfarm-agent/identity';
  assert.match(await done(system, `${asService} cat ${identity}/agent.json ${identity}/agent.pem`), '"here"');
});

test('the agent’s own install leaves the service to the package', async () => {
  await using apart = await temporaryDirectory();
  const deb = join(apart.path, 'it.deb');
  await copyFile(debs.agent, deb);
  await copyFile(join(packages, 'archfarm-agent.js'), join(apart.path, 'loose.js'));
  await using system = await debianSystem(apart.path);
  await done(system, `dpkg -i ${deb}`);
  const said = await done(system, 'archfarm-agent install --coordinator wss://farm.test:7480');
  assert.match(said, "the package's service is used");
  assert.match(
    await done(system, 'cat /etc/archfarm/agent.env'),
    /^ARCHFARM_COORDINATOR=https:\/\/farm.test/m,
  );
  assert.is((await system.sh('ls /etc/systemd/system/archfarm-agent.service')).status, 2);
  const refused = await system.sh(`node ${apart.path}/loose.js install`);
  assert.is(refused.status, 2);
  assert.match(refused.output, 'the package archfarm-agent is installed');
});

test.run();
