/**
 * `serve --on-publish COMMAND`: runs it for every image that was published, one after the other. What a build says of itself
 * is in environment variables and never part of the command.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { BuildResult } from '../../shared/progress.ts';

export interface PublishCommandOptions {
  /** Of the shell. */
  readonly command: string;
  readonly log: Logger;
  /** Of the coordinator; its secrets are not handed on. */
  readonly environment: NodeJS.ProcessEnv;
  /** Milliseconds that one run may take. */
  readonly timeout?: number;
}

const defaultTimeout = 300_000;
/** Runs that may wait for their turn. */
const maxWaiting = 1000;
const secrets: readonly string[] = ['ARCHFARM_TOKEN', 'ARCHFARM_WEBHOOK_SECRET'];
/** Characters of a line of output in the log. */
const maxLine = 4096;

export class PublishCommand {
  readonly #options: PublishCommandOptions;
  readonly #stop = new AbortController();
  readonly #waiting: BuildResult[] = [];
  #work: Promise<void> | undefined;

  constructor(options: PublishCommandOptions) {
    this.#options = options;
  }

  /** To be told of every build that published. */
  published(result: BuildResult): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= maxWaiting) {
      this.#options.log.warn({ build: result.build }, '--on-publish: too many wait; not run for this build');
      return;
    }
    this.#waiting.push(result);
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  /** Ends what runs. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#stop.signal.aborted) return;
      await this.#runFor(next).catch((error: unknown) =>
        this.#options.log.error({ build: next?.build, reason: messageOf(error) }, '--on-publish failed'),
      );
    }
  }

  async #runFor(result: BuildResult): Promise<void> {
    const { command, log, environment, timeout = defaultTimeout } = this.#options;
    const { build } = result;
    const child = spawn('/bin/sh', ['-c', command], {
      env: { ...withoutSecrets(environment), ...facts(result) },
      // A group of its own: what it starts ends with it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    const { pid = 0 } = child;
    let reason: string | undefined;
    const end = (why: string): void => {
      reason = why;
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    };
    const late = setTimeout(() => end(`still running after ${timeout / 1000} s`), timeout);
    const stopped = (): void => end('the coordinator stops');
    this.#stop.signal.addEventListener('abort', stopped);
    for (const stream of [child.stdout, child.stderr]) {
      eachLine(stream, (line) => log.info({ build, line }, '--on-publish'));
    }
    try {
      const [code, signal]: unknown[] = await once(child, 'close');
      if (code === 0) return;
      reason ??= typeof code === 'number' ? `status ${code}` : `ended by ${String(signal)}`;
      log.warn({ build, reason }, '--on-publish failed');
    } finally {
      clearTimeout(late);
      this.#stop.signal.removeEventListener('abort', stopped);
    }
  }
}

function facts(result: BuildResult): Record<string, string> {
  const [first = ''] = result.tags;
  const digest = result['containerimage.digest'] ?? '';
  return {
    ARCHFARM_BUILD: result.build,
    ARCHFARM_NAME: result.name,
    ARCHFARM_STATUS: result.status,
    ARCHFARM_CLIENT: result.client ?? '',
    ARCHFARM_TAGS: result.tags.join(' '),
    ARCHFARM_DIGEST: digest,
    ARCHFARM_REFERENCE: `${first.replace(/:[^:/]*$/, '')}@${digest}`,
    ARCHFARM_PLATFORMS: result.platforms
      .filter(({ status }) => status === 'pushed')
      .map(({ platform }) => platform)
      .join(' '),
  };
}

function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !secrets.includes(name)));
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (rest + piece).split('\n');
    // One without an end must not fill the memory.
    rest = (lines.pop() ?? '').slice(0, maxLine);
    for (const line of lines) take(line.slice(0, maxLine));
  });
  stream.on('end', () => rest !== '' && take(rest));
}
