/** `archfarm-agent doctor`: what on this host would keep an agent from building, and what to do about it. */
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { within } from '../shared/abort.ts';
import { checkCoordinator } from '../shared/check-coordinator.ts';
import { checkDisk } from '../shared/check-disk.ts';
import { check, type Check } from '../shared/checks.ts';
import { systemCode } from '../shared/errors.ts';
import { formatPlatform } from '../shared/platform.ts';
import type { TlsTrust } from '../shared/trust.ts';
import { brokenEmulation, emulatedPlatforms } from './emulation.ts';
import { noAnswer } from './engine/engine-error.ts';
import { Engine } from './engine/engine.ts';

export interface DoctorOptions {
  /** Leaves out what only an agent that runs by itself needs: a coordinator and a data directory. */
  readonly engineOnly: boolean;
  /** The http(s) form; undefined where none is configured. */
  readonly coordinator: URL | undefined;
  readonly token: string | undefined;
  readonly trust?: TlsTrust | undefined;
  readonly data: string;
  readonly docker: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Milliseconds for the engine to describe itself; 10 s if not given. */
  readonly patience?: number;
}

const noCoordinator: readonly Check[] = [
  {
    state: 'fail',
    subject: 'coordinator',
    what: 'none is configured',
    hint: 'archfarm agents add prints how this host joins one; else give --coordinator URL or set ARCHFARM_COORDINATOR',
  },
];

/** Changes nothing on this host. */
export async function examine(options: DoctorOptions): Promise<readonly Check[]> {
  const { engineOnly, coordinator, token, trust, data, signal } = options;
  const groups = await Promise.all([
    check('engine', () => checkEngine(options)),
    checkEmulation(),
    engineOnly ? [] : check('data', () => checkData(data)),
    engineOnly
      ? []
      : coordinator === undefined
        ? noCoordinator
        : checkCoordinator({ url: coordinator, token, trust, signal }),
  ]);
  return groups.flat();
}

async function checkEngine(options: DoctorOptions): Promise<readonly Check[]> {
  const { docker: host, environment, data, signal, patience = 10_000 } = options;
  const engine = new Engine({ host, environment, dataDirectory: data });
  const late = (): Error => noAnswer(engine.host);
  const { version, apiVersion, platform, root } = await within(patience, { signal, late }, (limited) =>
    engine.info(limited),
  );
  return [
    {
      state: 'ok',
      subject: 'engine',
      what: `Docker ${version} (API ${apiVersion}) at ${engine.host}, with BuildKit`,
    },
    { state: 'ok', subject: 'platform', what: `${formatPlatform(platform)}, native` },
    ...(root === undefined ? [] : [await checkRoot(root)]),
  ];
}

async function checkRoot(root: string): Promise<Check> {
  try {
    return await checkDisk('disk', root);
  } catch (error) {
    return {
      state: 'warn',
      subject: 'disk',
      what: `cannot tell how much room the engine has at ${root}: ${systemCode(error) ?? 'unknown'}`,
      hint: 'docker system df tells what it uses',
    };
  }
}

async function checkEmulation(): Promise<readonly Check[]> {
  const emulated = await emulatedPlatforms();
  const broken = await brokenEmulation();
  const what =
    emulated.length === 0
      ? 'none: this host builds its own platform alone'
      : `${emulated.join(', ')} (only for builds with --allow-emulation)`;
  return [
    { state: 'ok', subject: 'emulation', what },
    ...broken.map(({ platform, why }): Check => ({
      state: 'warn',
      subject: 'emulation',
      what: `${platform} is registered, but ${why}: it is not offered`,
      hint: 'docker run --privileged --rm tonistiigi/binfmt --install all, or the package qemu-user-static, registers it so that it works',
    })),
  ];
}

/** The directory, or the nearest above it that is there: the agent makes the rest. */
async function checkData(data: string): Promise<readonly Check[]> {
  const existing = await nearest(data);
  try {
    await rm(await mkdtemp(join(existing, '.archfarm-doctor-')), { recursive: true });
  } catch (error) {
    return [
      {
        state: 'fail',
        subject: 'data',
        what: `cannot write to ${existing}: ${systemCode(error) ?? 'unknown'}`,
        hint: 'give a directory of your own with --data or ARCHFARM_DATA',
      },
    ];
  }
  return [
    { state: 'ok', subject: 'data', what: `${data} can be written` },
    await checkDisk('data', existing),
  ];
}

async function nearest(path: string): Promise<string> {
  try {
    await access(path, constants.F_OK);
    return path;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || dirname(path) === path) return path;
    return nearest(dirname(path));
  }
}
