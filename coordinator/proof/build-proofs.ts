/** Proves what a build has published, and tells in its log. The outcome goes back to the farm as an event. */
import { toErrorInfo } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { formatReference, parseReference } from '../../shared/reference.ts';
import type { TaskEvent } from '../../shared/progress.ts';
import type { ProofRequest, ProofResult } from '../../shared/proof.ts';
import type { Timers } from '../../shared/timers.ts';
import type { Effect } from '../farm/events.ts';
import type { Farm } from '../farm/farm.ts';
import { untilStored } from '../farm/until-stored.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { PlatformProof, Proofs } from './proofs.ts';

export interface BuildProofsOptions {
  readonly proofs: Proofs;
  readonly timers: Timers;
  readonly log: Logger;
  readonly append: (build: string, frames: PlatformEvents) => void;
}

interface PlatformEvents {
  readonly platform: string;
  readonly agent: string | undefined;
  readonly events: readonly TaskEvent[];
}

type ProvenSpec = Pick<BuildSpec, 'allowEmulation' | 'waitAgent'> & { readonly verify: ProofRequest };

const step = 'verify';

export class BuildProofs {
  readonly #options: BuildProofsOptions;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(options: BuildProofsOptions) {
    this.#options = options;
  }

  prove(farm: Farm, effect: Extract<Effect, { type: 'prove' }>): void {
    const { log } = this.#options;
    const running = this.#prove(farm, effect)
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) log.error({ build: effect.build, err: error }, 'a proof is lost');
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Stops in the middle: it is begun again when the coordinator comes back. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #prove(farm: Farm, effect: Extract<Effect, { type: 'prove' }>): Promise<void> {
    const { build, platforms } = effect;
    const spec = farm.spec(build);
    if (spec?.verify === undefined) return;
    const { timers, log } = this.#options;
    const { signal } = this.#stop;
    const proofs = await this.#run({ ...spec, verify: spec.verify }, effect).catch((thrown: unknown) => {
      signal.throwIfAborted();
      log.error({ build, err: thrown }, 'could not prove what a build has published');
      const error = toErrorInfo(thrown);
      return platforms.map((platform) => ({ platform, status: 'failed' as const, error, output: '' }));
    });
    const results = Object.fromEntries(
      proofs.map(({ platform, output: _output, ...result }): [string, ProofResult] => [platform, result]),
    );
    await untilStored(() => farm.record({ type: 'proved', at: farm.now, build, proofs: results }), {
      timers,
      signal,
      log,
      about: { build },
    });
  }

  async #run(
    { allowEmulation, waitAgent: patience, verify }: ProvenSpec,
    { build, digest, tag, platforms, resumed = false }: Extract<Effect, { type: 'prove' }>,
  ): Promise<readonly PlatformProof[]> {
    const { registry, repository } = parseReference(tag);
    const reference = formatReference({ registry, repository, digest });
    const waitAgent = resumed ? Math.max(patience, this.#options.timers.grace) : patience;
    const name = stepName(verify);
    return await this.#options.proofs.run(
      { ...verify, build, reference, platforms, allowEmulation, waitAgent },
      {
        signal: this.#stop.signal,
        onStart: ({ platform, agent }) =>
          this.#tell(build, {
            platform,
            agent,
            events: [{ type: 'step', time: Date.now(), step, name, status: 'started' }],
          }),
        onEnd: ({ platform, agent, ...proof }) => {
          for (const event of eventsOf(name, proof)) this.#tell(build, { platform, agent, events: [event] });
        },
      },
    );
  }

  /** In the build's log, which may have no place: that is no fault of the image. */
  #tell(build: string, frames: PlatformEvents): void {
    try {
      this.#options.append(build, frames);
    } catch (err) {
      this.#options.log.warn({ build, err }, 'the log of a build lacks an event of its proof');
    }
  }
}

function eventsOf(name: string, proof: Omit<PlatformProof, 'platform' | 'agent'>): TaskEvent[] {
  const time = Date.now();
  const { status, output, duration, error } = proof;
  const ended = {
    type: 'step',
    time,
    step,
    name,
    status: status === 'passed' ? 'done' : 'failed',
    ...(duration === undefined ? {} : { duration }),
    ...(error === undefined ? {} : { error: error.message }),
  } as const;
  return output === '' ? [ended] : [{ type: 'log', time, step, stream: 'stdout', text: output }, ended];
}

/** As a person would type it: a text's shell is left out. */
function stepName({ command }: ProofRequest): string {
  if (command === undefined) return '[verify] as it starts by itself';
  const [shell, option, text] = command;
  const isText = command.length === 3 && shell === '/bin/sh' && option === '-c';
  return `[verify] ${isText ? text : command.join(' ')}`;
}
