/** `archfarm-agent install`: puts the systemd units, their users and the environment file in place. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseCoordinatorUrl } from '../shared/address.ts';
import { ArchfarmError, messageOf, systemCode } from '../shared/errors.ts';
import { parseToken } from '../shared/token.ts';
import { unitFile } from './unit-files.ts';

export interface InstallOptions {
  readonly coordinator?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  /** Everything goes below this directory. */
  readonly root: string;
  readonly alsoCoordinator?: boolean;
  readonly dryRun?: boolean;
}

interface InstalledFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

const environmentFile = '/etc/archfarm/agent.env';
export const emptyEnvironment = `# Settings of archfarm-agent.service; systemctl restart archfarm-agent applies them.
# ARCHFARM_COORDINATOR=wss://farm.example:7480
# ARCHFARM_TOKEN=
# ARCHFARM_CA=/etc/archfarm/ca.crt
# ARCHFARM_NAME=
# ARCHFARM_PLATFORM=
# ARCHFARM_SLOTS=2
# ARCHFARM_WEIGHT=1
# ARCHFARM_LABELS=
# ARCHFARM_MIN_FREE=10%,2GiB
# ARCHFARM_KEEP_CACHE=
# ARCHFARM_ALLOW=
# ARCHFARM_BUILD_TIMEOUT=
# ARCHFARM_CONTEXT_STORE=20GiB,30d
# DOCKER_HOST=unix:///var/run/docker.sock
`;

/** Where the unit keeps the agent's state, if its settings do not say otherwise. */
const unitData = '/var/lib/archfarm-agent';

/** The data directory of the service, whether it is installed or not. */
export async function serviceData(root = '/'): Promise<string> {
  // Others than root may not read the settings.
  const settings = await readFile(join(root, environmentFile), 'utf8').catch(() => '');
  return [...settings.matchAll(/^ARCHFARM_DATA=(\S+)$/gm)].at(-1)?.[1] ?? unitData;
}

/** Where a service may read it, which in a home directory it may not. */
const programFile = '/usr/local/lib/archfarm/archfarm-agent.js';

/** Where Debian's package has them. */
const packagedUnit = '/lib/systemd/system/archfarm-agent.service';
const packagedProgram = '/usr/lib/archfarm/archfarm-agent.js';

/** What to tell the user. Throws `config` where a file cannot be read or written. */
export async function install(options: InstallOptions): Promise<string> {
  const program = await realpath(process.argv[1] ?? '');
  if (existsSync(join(options.root, packagedUnit))) return await configurePackage(program, options);
  const coordinator = options.alsoCoordinator === true ? [coordinatorUnit(program)] : [];
  const files: InstalledFile[] = [
    agentUnit(),
    ...coordinator,
    {
      path: '/usr/lib/sysusers.d/archfarm.conf',
      text: unitFile('archfarm-sysusers.conf'),
      mode: 0o644,
    },
    { path: environmentFile, text: await environment(options), mode: 0o600 },
  ];
  if (options.dryRun === true) {
    const texts = files.map(({ path, text }) => `# ${path}\n${text}\n`);
    return [`# ${programFile}: a copy of ${program}\n\n`, ...texts].join('');
  }
  const all = [{ path: programFile, text: await readFile(program, 'utf8'), mode: 0o755 }, ...files];
  for (const file of all) await put(file, options.root);
  const loaded = options.root === '/' ? await reload() : [];
  const installed = all.map(({ path }) => `installed ${join(options.root, path)}`);
  const services = ['archfarm-agent.service', ...coordinator.map(() => 'archfarm-coordinator.service')];
  return [...installed, ...loaded, `start it: systemctl enable --now ${services.join(' ')}`, ''].join('\n');
}

/** The service is there, and dpkg's: only its settings are ours. */
async function configurePackage(program: string, options: InstallOptions): Promise<string> {
  if (program !== join(options.root, packagedProgram)) {
    throw new ArchfarmError('config', 'the package archfarm-agent is installed, which has the service', {
      hint: `run ${packagedProgram} install instead, or remove the package: apt remove archfarm-agent`,
    });
  }
  const text = await environment(options);
  if (options.dryRun === true) return `# ${environmentFile}\n${text}\n`;
  await put({ path: environmentFile, text, mode: 0o600 }, options.root);
  return `the package's service is used; start it: systemctl enable --now archfarm-agent.service\n`;
}

/** With absolute paths: a service has no PATH of a login shell. */
function agentUnit(): InstalledFile {
  const name = 'archfarm-agent.service';
  const text = unitFile(name).replace('/usr/bin/env archfarm-agent', `${process.execPath} ${programFile}`);
  return { path: `/etc/systemd/system/${name}`, text, mode: 0o644 };
}

/** The coordinator is more than one file, and runs from where it is. */
function coordinatorUnit(program: string): InstalledFile {
  const command = join(dirname(program), 'archfarm.js');
  if (!existsSync(command)) {
    throw new ArchfarmError('config', `the coordinator is not here: there is no ${command}`, {
      hint: 'it is more than one file: install it from a checkout, or from its package archfarm-coordinator',
    });
  }
  if (/^\/(home|root|run\/user)\//.test(command)) {
    throw new ArchfarmError('config', `a service may not read ${command}, which is in a home directory`, {
      hint: 'move archfarm to /opt, for example, and install it from there',
    });
  }
  const name = 'archfarm-coordinator.service';
  const text = unitFile(name).replace('/usr/bin/env archfarm', `${process.execPath} ${command}`);
  return { path: `/etc/systemd/system/${name}`, text, mode: 0o644 };
}

/** The settings that are there stay; those that were given now replace theirs. */
async function environment({ root, coordinator, tokenFile, ca }: InstallOptions): Promise<string> {
  let text = await readFile(join(root, environmentFile), 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return emptyEnvironment;
    throw new ArchfarmError('config', `cannot read ${environmentFile}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (ca !== undefined) text = set(text, 'ARCHFARM_CA', resolve(ca));
  if (coordinator !== undefined) {
    const url = parseCoordinatorUrl(coordinator, { tls: /^ARCHFARM_CA=\S/m.test(text) });
    text = set(text, 'ARCHFARM_COORDINATOR', url.href);
  }
  if (tokenFile !== undefined) {
    const content = await readFile(tokenFile, 'utf8').catch((cause: unknown) => {
      throw new ArchfarmError('usage', `cannot read the token file ${tokenFile}: ${messageOf(cause)}`, {
        cause,
      });
    });
    const token = parseToken(content, `the token file ${tokenFile}`);
    if (token === undefined) throw new ArchfarmError('usage', `the token file ${tokenFile} is empty`);
    text = set(text, 'ARCHFARM_TOKEN', token);
  }
  return text;
}

function set(text: string, name: string, value: string): string {
  const setting = `${name}=${value}`;
  // Of several lines the last one counts for systemd; an example in a comment is replaced only where there is none.
  for (const line of [new RegExp(`^${name}=.*$`, 'gm'), new RegExp(`^# *${name}=.*$`, 'm')]) {
    if (line.test(text)) return text.replace(line, () => setting);
  }
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${setting}\n`;
}

async function put({ path, text, mode }: InstalledFile, root: string): Promise<void> {
  const target = join(root, path);
  try {
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { mode });
    // An existing file keeps its mode otherwise, and the environment file holds a token.
    await chmod(target, mode);
  } catch (error) {
    const hint = systemCode(error) === 'EACCES' ? 'run it as root' : undefined;
    throw new ArchfarmError('config', `cannot write ${target}: ${messageOf(error)}`, { hint, cause: error });
  }
}

/** What systemd must be told; a machine that does not run it right now is told at its next boot. */
async function reload(): Promise<string[]> {
  const run = promisify(execFile);
  const done: string[] = [];
  for (const [file, ...args] of [
    ['systemd-sysusers', 'archfarm.conf'],
    ['systemctl', 'daemon-reload'],
  ] as const) {
    try {
      await run(file, args);
    } catch (error) {
      done.push(`not done, do it by hand: ${[file, ...args].join(' ')} (${messageOf(error).split('\n')[0]})`);
    }
  }
  return done;
}
