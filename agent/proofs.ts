/** The proofs that this agent was asked for over the connection it has: each ends with an answer, or with that. */
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { Mask } from '../shared/mask/mask.ts';
import { maskedProof } from '../shared/mask/masked.ts';
import { buildOfProof, type ProofOrder, type ProofOutcome } from '../shared/proof.ts';
import type { Timers } from '../shared/timers.ts';
import { conceal } from './confidence.ts';
import type { Engine } from './engine/engine.ts';
import type { OwnImages } from './own-images.ts';

export interface ProofsOptions {
  readonly engine: Engine;
  readonly timers: Timers;
  readonly images: OwnImages;
  readonly log: Logger;
  readonly answer: (proof: string, outcome: ProofOutcome) => void;
  /** One more has ended, and may have been the last that was waited for. */
  readonly ended: () => void;
}

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export class Proofs {
  readonly #options: ProofsOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: ProofsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#running.size;
  }

  start(proof: string, order: ProofOrder): void {
    if (this.#running.has(proof)) return;
    const stop = new AbortController();
    const done = this.#run(proof, order, stop.signal).finally(() => {
      this.#running.delete(proof);
      this.#options.ended();
    });
    this.#running.set(proof, { stop, done });
  }

  /** Another agent would be asked. */
  refuse(proof: string, reason: string): void {
    const error = { code: 'agent-lost', message: reason } as const;
    this.#options.answer(proof, { status: 'failed', kind: 'infrastructure', error, output: '', duration: 0 });
  }

  stop(proof: string): void {
    this.#running.get(proof)?.stop.abort(new ArchfarmError('cancelled', 'nobody waits for it any more'));
  }

  /** Resolves when nothing of them is left. */
  async stopAll(): Promise<void> {
    const running = [...this.#running];
    for (const [proof] of running) this.stop(proof);
    await Promise.all(running.map(([, { done }]) => done));
  }

  async #run(proof: string, order: ProofOrder, signal: AbortSignal): Promise<void> {
    const { engine, timers, images, log, answer } = this.#options;
    const { reference, platform } = order;
    using _held = images.hold(reference);
    const about = { proof, build: buildOfProof(proof), task: platform };
    log.info({ ...about, reference }, 'proof started');
    try {
      const mask = new Mask();
      conceal(order.auth, mask);
      const outcome = maskedProof(await engine.prove(order, { signal, upAfter: timers.up }), mask);
      log.info({ ...about, status: outcome.status }, 'proof ended');
      answer(proof, outcome);
    } catch (error) {
      log.info({ ...about, reason: messageOf(error) }, 'proof stopped');
    }
  }
}
