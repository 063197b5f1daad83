/**
 * Whether an image holds programs of its platform. BuildKit writes the platform it was asked for into an image's
 * config, also when the base it used is for another one, so only the programs themselves can tell.
 */
import { posix } from 'node:path';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { reasonOf, within } from '../../shared/abort.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import type { WarningEvent } from '../../shared/progress.ts';
import type { Connection } from './connection.ts';
import { architectureOfProgram, interpreterOf, isSibling } from './elf.ts';
import { inspectImageConfig, type ImageConfig } from './image.ts';
import { openProbe, type Probe, type ProbeOptions } from './probe.ts';

export interface ProgramCheck {
  readonly imageId: Digest;
  /** What the image is called in messages. */
  readonly reference: string;
  readonly platform: string;
}

export interface ProgramCheckOptions {
  readonly signal: AbortSignal;
  /** Hears of an engine that would not let its image be looked at: that is no reason to fail a build. */
  readonly onEvent: (event: WarningEvent) => void;
}

interface Program {
  readonly path: string;
  readonly architecture: string;
}

/** Milliseconds for the whole look. */
const patience = 30_000;

/** As Linux has it. */
const maxInterpreters = 4;
const maxSearchPath = 32;
const defaultSearchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Looked at where what the image runs is no program that can be told. */
const usualPrograms = ['/bin/sh', '/bin/busybox', '/bin/bash', '/usr/bin/env'];

/**
 * Throws `wrong-architecture` when the program that the image runs, or else its shell, is for another architecture.
 * Images without programs pass. A 32-bit program is at home on the 64-bit platform only beside 64-bit ones.
 * Resolves to false when the engine would not let anybody look.
 */
export async function checkPrograms(
  connection: Connection,
  check: ProgramCheck & Pick<ProbeOptions, 'owner'>,
  { signal, onEvent }: ProgramCheckOptions,
): Promise<boolean> {
  const { os, architecture } = parsePlatform(check.platform);
  if (os !== 'linux') return true;
  let foreign: Program | undefined;
  let looked = true;
  try {
    foreign = await within(patience, { signal, late: slow }, async (limited) => {
      const config = await inspectImageConfig(connection, { imageId: check.imageId, signal: limited });
      await using probe = await openProbe(connection, { ...check, volumes: config.volumes, signal: limited });
      return await findForeign(probe, { config, architecture });
    });
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    looked = false;
    const message = `the programs of ${check.reference} could not be checked: ${messageOf(error)}`;
    onEvent({ type: 'warning', time: Date.now(), message });
  }
  if (foreign !== undefined) throw wrongArchitecture(check, foreign);
  return looked;
}

function slow(): Error {
  return new Error(`the engine did not show them within ${patience / 1000} s`);
}

async function findForeign(
  probe: Probe,
  { config, architecture }: { config: ImageConfig; architecture: string },
): Promise<Program | undefined> {
  let sibling: Program | undefined;
  for (const path of [await findCommand(probe, config), ...usualPrograms]) {
    const program = path === undefined ? undefined : await readProgram(probe, path);
    if (program === undefined) continue;
    if (program.architecture === architecture) return undefined;
    if (!isSibling(architecture, program.architecture)) return program;
    sibling ??= program;
  }
  return sibling;
}

/** What a container would start, found as the engine does it. */
async function findCommand(probe: Probe, config: ImageConfig): Promise<string | undefined> {
  const [command = ''] = [...config.entrypoint, ...config.command];
  if (command === '') return undefined;
  if (command.includes('/')) return posix.resolve('/', config.workingDirectory, command);
  const set = config.environment.find((variable) => variable.startsWith('PATH='));
  const directories = (set?.slice('PATH='.length) || defaultSearchPath).split(':').slice(0, maxSearchPath);
  for (const directory of directories) {
    const path = posix.resolve('/', config.workingDirectory, directory, command);
    if ((await probe.locate(path)) !== undefined) return path;
  }
  return undefined;
}

/** The program at a path, or the one that interprets the script there. */
async function readProgram(probe: Probe, path: string): Promise<Program | undefined> {
  let wanted: string | undefined = path;
  for (let depth = 0; wanted !== undefined && depth <= maxInterpreters; depth += 1) {
    const located = await probe.locate(wanted);
    if (located === undefined) return undefined;
    const head = await probe.head(located);
    const architecture = architectureOfProgram(head);
    if (architecture !== undefined) return { path: located, architecture };
    const interpreter = interpreterOf(head);
    wanted = interpreter?.startsWith('/') === true ? interpreter : undefined;
  }
  return undefined;
}

function wrongArchitecture(
  { reference, platform }: ProgramCheck,
  { path, architecture }: Program,
): ArchfarmError {
  const wanted = formatPlatform(parsePlatform(platform));
  return new ArchfarmError(
    'wrong-architecture',
    `${reference} was built for ${wanted}, but its ${path} is a program for linux/${architecture}`,
    {
      hint: 'does a FROM name one platform, by --platform or by a base image that has no other, or was a program copied from such a stage?',
    },
  );
}
