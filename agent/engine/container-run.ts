/** A container of an image that runs to its end: its output as it comes, its exit code, and nothing of it afterwards. */
import type Docker from 'dockerode';
import { randomUUID } from 'node:crypto';
import { buffers } from '../../shared/context/buffers.ts';
import type { Digest } from '../../shared/context/tree.ts';
import type { Connection } from './connection.ts';
import { readOutput, type OutputChunk } from './container-output.ts';
import { watchContainer } from './container-watch.ts';
import { isRefusal } from './engine-error.ts';

export interface ContainerRun {
  readonly imageId: Digest;
  /** In place of the image's entrypoint and command; absent: the image starts as it is, and may go on for ever. */
  readonly command?: readonly string[] | undefined;
  /** Milliseconds after which an image that starts as it is, and has no health check, is taken to be well. */
  readonly upAfter?: number;
  /** Whether it gets the engine's default network; else it has its own loopback alone. */
  readonly network: boolean;
  /** Milliseconds since 1970 by which it is over in any case. */
  readonly until: number;
}

export interface ContainerRunOptions {
  readonly signal: AbortSignal;
  readonly onOutput: (chunk: OutputChunk) => void;
}

export type ContainerEnd =
  | { readonly type: 'exited'; readonly code: number; readonly outOfMemory: boolean }
  /** It is well, and would have gone on. */
  | { readonly type: 'up' | 'healthy' }
  | { readonly type: 'unhealthy'; readonly reason: string }
  /** The engine could not start the command, for example because the image does not have it. */
  | { readonly type: 'not-started'; readonly reason: string };

/** What a run may take of its host; an image that needs more is no quick test. Bytes, and processes with threads. */
export const runBounds = { memory: 4 * 1024 ** 3, processes: 4096 } as const;

/** On each container: who made it, and until when it may be there. */
const ownerLabel = 'archfarm.run';
const untilLabel = 'archfarm.run.until';

/** Milliseconds for creating a container, with a copy of what the image has in its volumes, and for removing it. */
const createPatience = 60_000;
const removePatience = 10_000;

/** Milliseconds that clocks of two hosts with one engine may differ. */
const clockSkew = 60_000;

/** The runs of one agent on its engine. */
export class ContainerRuns {
  readonly #connection: Connection;
  readonly #owner: string;
  readonly #running = new Set<string>();

  /** `owner` must be of no other process with this engine, and the same again after a restart. */
  constructor(connection: Connection, owner: string) {
    this.#connection = connection;
    this.#owner = owner;
  }

  /** Throws an infrastructure error, or the signal's reason; the container is gone in any case. */
  async run(run: ContainerRun, options: ContainerRunOptions): Promise<ContainerEnd> {
    options.signal.throwIfAborted();
    const name = `archfarm-run-${randomUUID()}`;
    this.#running.add(name);
    try {
      const reason = await this.#create(name, run);
      if (reason !== undefined) return { type: 'not-started', reason };
      return await this.#follow(name, run, options);
    } finally {
      // The engine may have made it without being able to say so. What cannot be removed now is swept later.
      await this.#remove(name).catch(() => {});
      this.#running.delete(name);
    }
  }

  /** Removes what an agent that was killed left behind: its own after a restart, anybody's when its time is over. */
  async sweep(signal: AbortSignal): Promise<void> {
    const filters = { label: [ownerLabel] };
    const found = await this.#connection.ask(signal, (docker) =>
      docker.listContainers({ all: true, filters, abortSignal: signal }),
    );
    const stale = found.filter(({ Labels, Names }) => {
      const isMine = Labels[ownerLabel] === this.#owner;
      const isRunning = Names.some((name) => this.#running.has(name.replace(/^\//, '')));
      return isMine ? !isRunning : Number(Labels[untilLabel]) + clockSkew < Date.now();
    });
    await Promise.allSettled(stale.map(({ Id }) => this.#remove(Id)));
  }

  /**
   * Gives the reason when the image is to blame. Not under the signal: an engine goes on with what it was asked, and what it
   * makes must be known to be removed.
   */
  async #create(
    name: string,
    { imageId, command, network, until }: ContainerRun,
  ): Promise<string | undefined> {
    const limit = AbortSignal.timeout(createPatience);
    const container: Docker.ContainerCreateOptions = {
      Image: imageId,
      ...(command === undefined ? {} : replacing(command)),
      Labels: { [ownerLabel]: this.#owner, [untilLabel]: String(until) },
      NetworkDisabled: !network,
      HostConfig: {
        NetworkMode: network ? 'default' : 'none',
        PidsLimit: runBounds.processes,
        Memory: runBounds.memory,
        MemorySwap: runBounds.memory,
        Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
        // The output goes to the build's log; the host's disk is not to fill up with a copy.
        LogConfig: { Type: 'none', Config: {} },
      },
    };
    // Apart, or all of it would be put into the address, too.
    const request = { _query: { name }, _body: container, abortSignal: limit };
    return await this.#connection.ask(limit, (docker) =>
      docker.createContainer(request).then(
        () => undefined,
        (error: unknown) => missingCommand(error) ?? Promise.reject(error),
      ),
    );
  }

  async #follow(
    name: string,
    { command, upAfter = 0 }: ContainerRun,
    { signal, onOutput }: ContainerRunOptions,
  ): Promise<ContainerEnd> {
    // Before the start: nothing that a quick command writes is missed.
    const stream = await this.#connection.stream(`/containers/${name}/attach`, {
      signal,
      query: { stream: true, stdout: true, stderr: true },
    });
    try {
      const reason = await this.#start(name, signal);
      if (reason !== undefined) return { type: 'not-started', reason };
      const reading = (async () => {
        for await (const chunk of readOutput(buffers(stream))) onOutput(chunk);
      })();
      if (command === undefined) {
        reading.catch(() => {});
        const sign = await watchContainer(this.#connection, { name, upAfter, signal });
        if (sign.type !== 'ended') return sign;
      }
      await reading;
    } catch (error) {
      throw this.#connection.failure(error, signal);
    } finally {
      stream.destroy();
    }
    return await this.#end(name, signal);
  }

  /** Gives the reason when the command is to blame. */
  #start(name: string, signal: AbortSignal): Promise<string | undefined> {
    return this.#connection.ask(signal, (docker) =>
      docker
        .getContainer(name)
        .start({ abortSignal: signal })
        .then(
          () => undefined,
          (error: unknown) => refusedCommand(error) ?? Promise.reject(error),
        ),
    );
  }

  async #end(name: string, signal: AbortSignal): Promise<ContainerEnd> {
    return await this.#connection.ask(signal, async (docker) => {
      const container = docker.getContainer(name);
      // The output ends when the command has closed it, which may be before it is over.
      await container.wait({ condition: 'not-running', abortSignal: signal });
      const { State } = await container.inspect({ abortSignal: signal });
      return { type: 'exited', code: State.ExitCode, outOfMemory: State.OOMKilled };
    });
  }

  async #remove(name: string): Promise<void> {
    const limit = AbortSignal.timeout(removePatience);
    await this.#connection.ask(limit, (docker) =>
      docker.getContainer(name).remove({ force: true, v: true, abortSignal: limit }),
    );
  }
}

/** The image's own health check would run beside the command, for nobody. */
function replacing([entrypoint = '', ...parameters]: readonly string[]): Docker.ContainerCreateOptions {
  return { Entrypoint: [entrypoint], Cmd: parameters, Healthcheck: { Test: ['NONE'] } };
}

/** An image of nothing but files. */
function missingCommand(error: unknown): string | undefined {
  const isMissing = error instanceof Error && isRefusal(error) && /no command specified/i.test(error.message);
  return isMissing ? 'it has no command of its own' : undefined;
}

/** Not `fork/exec`: that is of a program of the host. */
const imagesFault =
  /executable file not found|exec format error|exec: ".*": (?:stat|permission denied|is a directory)|(?<!\/)exec [^:]+: no such file or directory|unable to find (?:user|group)|no matching entries in (?:passwd|group) file|chdir to cwd/s;
const beforeFault =
  /^.*?(?=exec:|exec format|(?<!\/)exec [^:]+: no such|unable to find (?:user|group)|no matching entries|chdir to cwd)/s;

/** A command, user or directory that the image does not have, or that is of no use: runtimes say so only in prose. */
function refusedCommand(error: unknown): string | undefined {
  if (!(error instanceof Error) || !isRefusal(error)) return undefined;
  const reason = error.message.replace(/^\(HTTP code \d+\) (.*?) - /s, '').trim();
  return imagesFault.test(reason) ? reason.replace(beforeFault, '') : undefined;
}

/** What is wrong with how a command ended; undefined when it succeeded. */
export function troubleOf(end: ContainerEnd): string | undefined {
  if (end.type === 'unhealthy') return `is not well: ${end.reason}`;
  if (end.type === 'not-started') return `could not be started: ${end.reason}`;
  if (end.type !== 'exited') return undefined;
  if (end.outOfMemory) return `was ended: it took more than ${runBounds.memory / 1024 ** 3} GiB of memory`;
  if (end.code === 0) return undefined;
  return `ended with exit code ${end.code}`;
}
