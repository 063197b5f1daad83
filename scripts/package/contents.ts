/** What the Debian packages of agent and coordinator hold. */
import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { emptyEnvironment } from '../../agent/install.ts';
import { copyright, debianChangelog, manPage } from './documents.ts';
import { maintainerScripts } from './maintainer-scripts.ts';

const run = promisify(execFile);

export interface DebianPackage {
  readonly name: string;
  readonly architecture: string;
  /** Of the control file, besides those that each has. */
  readonly fields: Readonly<Record<string, string>>;
  readonly files: readonly { readonly path: string; readonly text: string; readonly mode?: number }[];
  readonly copies: readonly { readonly from: string; readonly to: string }[];
  readonly links: readonly { readonly path: string; readonly to: string }[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly conffiles: readonly string[];
}

interface Service {
  readonly root: string;
  readonly name: string;
  readonly command: string;
  readonly unit: string;
  readonly user: string;
  /** Empty settings of the service. */
  readonly environment: { readonly path: string; readonly text: string };
  readonly description: string;
  readonly hint: string;
}

const library = '/usr/lib/archfarm';
const depends = 'nodejs (>= 20.18.1), adduser';

export async function agentPackage(root: string): Promise<DebianPackage> {
  const common = await serviceParts({
    root,
    name: 'archfarm-agent',
    command: 'archfarm-agent',
    unit: 'archfarm-agent.service',
    user: 'archfarm-agent',
    environment: { path: '/etc/archfarm/agent.env', text: emptyEnvironment },
    description: 'builds container images with the engine of this host',
    hint: 'archfarm agents add NAME prints how this host joins a farm; run that with sudo, then:',
  });
  return {
    ...common,
    architecture: 'all',
    copies: [{ from: `${root}/dist/archfarm-agent.js`, to: `${library}/archfarm-agent.js` }],
    fields: {
      Depends: depends,
      Recommends: 'docker.io | docker-ce',
      Description: `build agent of an archfarm
 Receives build contexts, builds them with this host's own Docker Engine,
 tests the images there and pushes them under the name of its platform.`,
    },
  };
}

export async function coordinatorPackage(root: string): Promise<DebianPackage> {
  const common = await serviceParts({
    root,
    name: 'archfarm-coordinator',
    command: 'archfarm',
    unit: 'archfarm-coordinator.service',
    user: 'archfarm',
    environment: { path: '/etc/archfarm/coordinator.env', text: coordinatorEnvironment },
    description: 'multi-arch container image builds on your own machines',
    hint: 'set ARCHFARM_TOKEN and SERVE_FLAGS in /etc/archfarm/coordinator.env, then:',
  });
  const own = (await readdir(`${root}/dist`)).filter((each) => each !== 'archfarm-agent.js');
  const { stdout } = await run('dpkg', ['--print-architecture']);
  return {
    ...common,
    // The database of Node 20 is a native module.
    architecture: stdout.trim(),
    copies: [
      ...own.map((each) => ({
        from: `${root}/dist/${each}`,
        to: `${library}/coordinator/${each}`,
      })),
      ...(await databaseModules(root)).map((each) => ({
        from: `${root}/node_modules/${each}`,
        to: `${library}/coordinator/node_modules/${each}`,
      })),
    ],
    fields: {
      Depends: `${depends}, libc6`,
      Description: `coordinator and command line of an archfarm
 Hands each platform of a build to an agent of that architecture, and
 publishes one manifest list when every image has been verified.`,
    },
  };
}

/** libsql and what it needs here; none where it was not installed, and Node has a database itself. */
async function databaseModules(root: string): Promise<readonly string[]> {
  const wanted = [
    'libsql',
    '@neon-rs/load',
    'detect-libc',
    '@libsql/linux-x64-gnu',
    '@libsql/linux-arm64-gnu',
  ];
  const there = wanted.map((name) =>
    access(`${root}/node_modules/${name}`).then(
      () => [name],
      () => [],
    ),
  );
  return (await Promise.all(there)).flat();
}

const coordinatorEnvironment = `# Settings of archfarm-coordinator.service; systemctl restart archfarm-coordinator applies them.
# ARCHFARM_TOKEN=
# SERVE_FLAGS=--tls --listen 0.0.0.0:7480
`;

async function serviceParts(
  service: Service,
): Promise<Pick<DebianPackage, 'name' | 'files' | 'links' | 'scripts' | 'conffiles'>> {
  const { root, name, command, unit, environment, description } = service;
  const text = await readFile(`${root}/scripts/systemd/${unit}`, 'utf8');
  const program = name === command ? `${command}.js` : `coordinator/${command}.js`;
  const { stdout: help } = await run(process.execPath, [`${root}/dist/${command}.js`, '--help']);
  const documents = `/usr/share/doc/${name}`;
  return {
    name,
    files: [
      // systemd of either layout of / finds it there.
      {
        path: `/lib/systemd/system/${unit}`,
        text: text.replace(`/usr/bin/env ${command}`, `/usr/bin/${command}`),
      },
      // It may hold a token.
      { path: environment.path, text: environment.text, mode: 0o600 },
      { path: `/usr/share/man/man1/${command}.1.gz`, text: manPage({ command, description, help }) },
      { path: `${documents}/copyright`, text: await copyright(root) },
      { path: `${documents}/changelog.gz`, text: await debianChangelog(root, name) },
      { path: `/usr/share/lintian/overrides/${name}`, text: overrides(name) },
    ],
    links: [{ path: `/usr/bin/${command}`, to: `../lib/archfarm/${program}` }],
    scripts: maintainerScripts(service),
    conffiles: [environment.path],
  };
}

/** Bundled on purpose: one file for hosts of every architecture and release. */
function overrides(name: string): string {
  return [
    `${name}: embedded-javascript-library`,
    `${name}: non-standard-file-perm`,
    `${name}: initial-upload-closes-no-bugs`,
    // systemd is asked directly: debhelper's scripts are not there without it.
    `${name}: maintainer-script-calls-systemctl`,
    // Who packs it for others says who it is from, with DEBEMAIL.
    `${name}: bogus-mail-host`,
    `${name}: bogus-mail-host-in-debian-changelog`,
    // npm's database module is built for every distribution, and has its own SQLite.
    ...(name === 'archfarm-coordinator'
      ? [`${name}: embedded-library`, `${name}: unstripped-binary-or-object`]
      : []),
    '',
  ].join('\n');
}
