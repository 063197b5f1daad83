/** One Docker engine, as the rest of the agent sees it. */
import { join } from 'node:path';
import * as v from 'valibot';
import type { Selection } from '../../shared/context/select.ts';
import type { Digest } from '../../shared/context/tree.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Mask } from '../../shared/mask/mask.ts';
import { normalizePlatform, type Platform } from '../../shared/platform.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { ProofOrder, ProofOutcome } from '../../shared/proof.ts';
import type { Task } from '../../shared/task.ts';
import { build, type BuiltImage } from './build.ts';
import { Connection, type DockerEnvironment } from './connection.ts';
import { ContainerRuns } from './container-run.ts';
import { KeyedLock } from './keyed-lock.ts';
import { MtimeStore } from './mtimes.ts';
import { sweepProbes } from './probe.ts';
import { push, type Pushed, type PushOptions, type PushRequest } from './push.ts';
import { checkPrograms, type ProgramCheck, type ProgramCheckOptions } from './program-check.ts';
import { prove, type ProofRunOptions } from './proof-run.ts';
import type { BuildServices } from './services.ts';
import { cacheBytes, listImages, lookAtImage, pruneCache, removeImage, type HeldImage } from './space.ts';
import { runTest, type TestRun, type TestRunOptions } from './test-run.ts';

export interface EngineOptions {
  /** `unix:///path` or `tcp://host:port`; without it DOCKER_HOST of the environment, or the usual socket. */
  readonly host?: string | undefined;
  readonly environment: DockerEnvironment;
  /** The agent's own; what is remembered about contexts goes to `mtimes` below it. */
  readonly dataDirectory: string;
  /** Whose containers are whose, where agents share an engine: no other's, and the same after a restart. */
  readonly owner?: string | undefined;
}

export interface EngineInfo {
  /** What this host runs without emulation. */
  readonly platform: Platform;
  readonly version: string;
  readonly apiVersion: string;
  /** Where an engine on this host keeps its images; undefined for one that may be elsewhere. */
  readonly root?: string | undefined;
}

export interface BuildCall {
  readonly signal: AbortSignal;
  readonly mask: Mask;
  readonly onEvent: (event: TaskEvent) => void;
  /** A step goes on, though no event says so. */
  readonly onSign?: (() => void) | undefined;
  /** Bytes of contents handed to the engine so far; called for each piece of at most 64 KiB. */
  readonly onEngineBytes?: ((bytes: number) => void) | undefined;
  /** What the engine will ask for at most of one of the task's trees; several such parts add up. */
  readonly onSelection?: ((root: Digest, selection: Selection) => void) | undefined;
}

const versionSchema = v.object({
  Version: v.string(),
  ApiVersion: v.pipe(v.string(), v.regex(/^\d+\.\d+$/)),
});

const infoSchema = v.object({
  OSType: v.string(),
  Architecture: v.string(),
  DockerRootDir: v.optional(v.string()),
});

/** Of images that need no second look. */
const maxRightImages = 1000;

export class Engine {
  readonly #connection: Connection;
  readonly #mtimes: MtimeStore;
  readonly #owner: string;
  readonly #runs: ContainerRuns;
  readonly #pushes = new KeyedLock();
  readonly #proofs = new KeyedLock();
  /** As of the last look at its version. */
  #hasBuildKit = false;
  /** Image ids and platforms that passed the check of programs. */
  readonly #rightImages = new Set<string>();
  #lost = new AbortController();

  /** Does not connect yet; throws `config` for a host it cannot use. */
  constructor({ host, environment, dataDirectory, owner = dataDirectory }: EngineOptions) {
    this.#connection = new Connection({ host, environment });
    this.#owner = owner;
    this.#runs = new ContainerRuns(this.#connection, owner);
    this.#mtimes = new MtimeStore(join(dataDirectory, 'mtimes'));
  }

  get host(): string {
    return this.#connection.host;
  }

  /** Aborts when the engine is given up: what a hung one has in hand would never end by itself. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Ends what is under way with this; what begins later has another chance. */
  giveUp(reason: ArchfarmError): void {
    this.#lost.abort(reason);
    this.#lost = new AbortController();
  }

  /** Throws `engine-down` when nobody answers. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.#connection.get('/_ping', signal);
  }

  /** Throws `engine-down`, or `no-buildkit` for an engine that is too old. */
  async info(signal: AbortSignal): Promise<EngineInfo> {
    const { Version: version, ApiVersion: apiVersion } = await this.#version(signal);
    const info = v.parse(infoSchema, await this.#connection.get('/info', signal));
    return {
      platform: normalizePlatform({ os: info.OSType, architecture: info.Architecture }),
      version,
      apiVersion,
      root: this.host.startsWith('unix://') ? info.DockerRootDir : undefined,
    };
  }

  /**
   * Builds without a tag. Fails with `build-failed` or `wrong-architecture` when the build is to blame, with what a
   * service threw, or with an infrastructure code; with the signal's reason when that aborts.
   */
  async build(task: Task, services: BuildServices, call: BuildCall): Promise<BuiltImage> {
    // An older engine would take the request for one of its classic builder. An engine takes its time to answer.
    if (!this.#hasBuildKit) await this.#version(call.signal);
    return build(this.#connection, { ...call, task, services, mtimes: this.#mtimes });
  }

  /** Pushes this very image under the reference; other pushes to that reference wait meanwhile. */
  push(request: PushRequest, options: PushOptions): Promise<Pushed> {
    return this.#pushes.run(request.reference, {
      signal: options.signal,
      work: () => push(this.#connection, request, options),
    });
  }

  /** Throws `wrong-architecture` for an image that would run programs of another architecture. */
  async checkPrograms(check: ProgramCheck, options: ProgramCheckOptions): Promise<void> {
    const key = `${check.imageId} ${check.platform}`;
    // An id is a digest of the whole image: what was right once stays so.
    if (this.#rightImages.has(key)) return;
    if (!(await checkPrograms(this.#connection, { ...check, owner: this.#owner }, options))) return;
    this.#rightImages.add(key);
    const [oldest] = this.#rightImages;
    if (this.#rightImages.size > maxRightImages && oldest !== undefined) this.#rightImages.delete(oldest);
  }

  /** Throws `test-failed` when the image's test does not succeed, or an infrastructure error. */
  test(run: TestRun, options: TestRunOptions): Promise<void> {
    return runTest(this.#runs, run, options);
  }

  /** Pulls what was published and runs it; proofs of one reference go one after the other. Rejects with the signal's reason. */
  prove(order: ProofOrder, options: ProofRunOptions): Promise<ProofOutcome> {
    const between = { connection: this.#connection, runs: this.#runs };
    return this.#proofs.run(order.reference, {
      signal: options.signal,
      work: () => prove(between, order, options),
    });
  }

  /** Removes containers that an agent left behind which could not do so itself. */
  async sweep(signal: AbortSignal): Promise<void> {
    await this.#runs.sweep(signal);
    await sweepProbes(this.#connection, this.#owner, signal);
  }

  images(signal: AbortSignal): Promise<HeldImage[]> {
    return listImages(this.#connection, signal);
  }

  /** As it is now; undefined when it is not there. */
  image(id: Digest, signal: AbortSignal): Promise<HeldImage | undefined> {
    return lookAtImage(this.#connection, id, signal);
  }

  /** See `space.ts`. */
  removeImage(image: HeldImage, signal: AbortSignal): Promise<boolean> {
    return removeImage(this.#connection, image, signal);
  }

  cacheBytes(signal: AbortSignal): Promise<number> {
    return cacheBytes(this.#connection, signal);
  }

  /** Running builds keep what they use. See `space.ts`. */
  pruneCache(options: { readonly keep: number; readonly signal: AbortSignal }): Promise<number> {
    return pruneCache(this.#connection, options);
  }

  async #version(signal: AbortSignal): Promise<v.InferOutput<typeof versionSchema>> {
    const said = v.safeParse(versionSchema, await this.#connection.get('/version', signal));
    if (!said.success) {
      throw new ArchfarmError('engine-error', `what answers at ${this.host} is no Docker engine`, {
        hint: '--docker or DOCKER_HOST names the address of one',
      });
    }
    const version = said.output;
    const [major = 0, minor = 0] = version.ApiVersion.split('.').map(Number);
    // The first API whose builds take BuildKit's version 2.
    this.#hasBuildKit = major > 1 || minor >= 39;
    if (this.#hasBuildKit) return version;
    throw new ArchfarmError(
      'no-buildkit',
      `the Docker engine at ${this.host} has no BuildKit: it is ${version.Version} (API ${version.ApiVersion})`,
      { hint: 'Docker 18.09 (API 1.39) or later is needed' },
    );
  }
}
