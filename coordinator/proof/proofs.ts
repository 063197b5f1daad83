/** Has agents of every platform pull a published image by its digest and run it. Nothing of it is stored. */
import { randomBytes } from 'node:crypto';
import { delay, untilAborted } from '../../shared/abort.ts';
import { ArchfarmError, toErrorInfo, type ErrorInfo } from '../../shared/errors.ts';
import {
  lastLineOf,
  nameProof,
  type ProofOutcome,
  type ProofRequest,
  type ProofResult,
} from '../../shared/proof.ts';
import { parseReference } from '../../shared/reference.ts';
import type { RegistryAuth } from '../../shared/task.ts';
import type { Timers } from '../../shared/timers.ts';
import type { AgentView } from '../farm/agent-state.ts';
import type { AgentPool } from '../farm/pool.ts';
import { chooseAgent, noAgent } from './choose-agent.ts';

export interface ProofsOptions {
  readonly agents: () => readonly AgentView[];
  readonly pool: Pick<AgentPool, 'proves' | 'prove' | 'stopProof' | 'silence'>;
  readonly pullAuth: (host: string, repositories: string[], signal: AbortSignal) => Promise<RegistryAuth>;
  readonly timers: Timers;
}

export interface ProofSubject extends ProofRequest {
  /** That published it, where one is concerned. */
  readonly build?: string | undefined;
  /** By digest. */
  readonly reference: string;
  readonly platforms: readonly string[];
  readonly allowEmulation: boolean;
  /** Milliseconds that a platform waits for an agent. */
  readonly waitAgent: number;
}

export interface PlatformProof extends ProofResult {
  readonly platform: string;
  /** The end of it. */
  readonly output: string;
}

export interface ProofCall {
  readonly signal: AbortSignal;
  readonly onStart: (start: {
    readonly platform: string;
    readonly agent: string;
    readonly native: boolean;
  }) => void;
  readonly onEnd: (proof: PlatformProof) => void;
}

/** Tries of one platform that end for no fault of the image. */
const maxTries = 3;
/** Milliseconds between two looks at who is there. */
const lookAgain = 100;

export class Proofs {
  readonly #options: ProofsOptions;
  readonly #waiting = new Map<string, (outcome: ProofOutcome) => void>();
  /** By agent, how many. */
  readonly #given = new Map<string, number>();

  constructor(options: ProofsOptions) {
    this.#options = options;
  }

  /** All platforms at once, each to its end; rejects only with the signal's reason. */
  run(subject: ProofSubject, call: ProofCall): Promise<PlatformProof[]> {
    return Promise.all(
      subject.platforms.map(async (platform) => {
        const proof = await this.#prove(platform, subject, call);
        call.onEnd(proof);
        return proof;
      }),
    );
  }

  /** An agent's word; one that nobody waits for is of no use. */
  ended(proof: string, outcome: ProofOutcome): void {
    this.#waiting.get(proof)?.(outcome);
  }

  async #prove(platform: string, subject: ProofSubject, call: ProofCall): Promise<PlatformProof> {
    const { agents, pool, timers } = this.#options;
    const tired = new Set<string>();
    let since = performance.now();
    let failed: PlatformProof | undefined;
    for (let tries = 0; tries < maxTries;) {
      call.signal.throwIfAborted();
      const ready = agents().filter(({ name, state }) => state === 'ready' && pool.proves(name));
      const proofsOf = (agent: string): number => this.#given.get(agent) ?? 0;
      const { allowEmulation } = subject;
      const choice = chooseAgent(ready, { platform, allowEmulation, tired, proofsOf });
      if (choice.type !== 'agent') {
        if (choice.type === 'busy') since = performance.now();
        if (performance.now() - since >= subject.waitAgent) {
          const proves = (agent: string): boolean => pool.proves(agent);
          return failed ?? without(platform, toErrorInfo(noAgent(platform, { agents: agents(), proves })));
        }
        await delay(lookAgain, call.signal);
        continue;
      }
      // A lone agent that has just failed may need a moment.
      if (tired.has(choice.name)) await delay(timers.tick, call.signal);
      const { name: agent, native } = choice;
      let outcome: ProofOutcome;
      this.#given.set(agent, proofsOf(agent) + 1);
      try {
        const auth = await this.#auth(subject.reference, call.signal);
        if ('code' in auth) return without(platform, auth);
        call.onStart({ platform, agent, native });
        const { reference, command, timeout, network } = subject;
        const order = { reference, platform, command, timeout, network, auth };
        outcome = await this.#ask(agent, { order, build: subject.build }, call.signal);
      } finally {
        this.#given.set(agent, proofsOf(agent) - 1);
      }
      const proof = { ...resultOf(outcome), platform, agent, native, output: outcome.output };
      if (outcome.status === 'passed' || outcome.kind === 'image') return proof;
      failed = proof;
      tired.add(agent);
      tries += 1;
      since = performance.now();
    }
    return failed ?? without(platform, { code: 'internal', message: 'nobody tried' });
  }

  /** An agent that is gone has failed; its connection may be gone without a word. */
  async #ask(
    agent: string,
    { order, build }: { order: Parameters<AgentPool['prove']>[2]; build: string | undefined },
    signal: AbortSignal,
  ): Promise<ProofOutcome> {
    const { pool, timers } = this.#options;
    const proof = nameProof(randomBytes(12).toString('hex'), build);
    const answered = new Promise<ProofOutcome>((resolve) => this.#waiting.set(proof, resolve));
    const silent = new AbortController();
    const watch = setInterval(() => {
      if (pool.silence(agent) > timers.lost) silent.abort();
    }, timers.tick);
    const gone = AbortSignal.any([pool.prove(proof, agent, order), silent.signal]);
    try {
      return await untilAborted(answered, AbortSignal.any([signal, gone]));
    } catch (error) {
      if (signal.aborted) {
        pool.stopProof(proof, agent);
        throw error;
      }
      const info = { code: 'agent-lost', message: `agent ${agent} went away in the middle of it` } as const;
      return { status: 'failed', kind: 'infrastructure', error: info, output: '', duration: 0 };
    } finally {
      clearInterval(watch);
      this.#waiting.delete(proof);
    }
  }

  /** Asked for with each try: a token does not live long. */
  async #auth(reference: string, signal: AbortSignal): Promise<RegistryAuth | ErrorInfo> {
    const { registry, repository } = parseReference(reference);
    try {
      return await this.#options.pullAuth(registry, [repository], signal);
    } catch (error) {
      if (signal.aborted) throw error;
      return toErrorInfo(error, 'registry-error');
    }
  }
}

function without(platform: string, error: ErrorInfo): PlatformProof {
  return { platform, status: 'failed', error, output: '' };
}

function resultOf(outcome: ProofOutcome): ProofResult {
  const { status, output, duration } = outcome;
  const lastLine = lastLineOf(output);
  return {
    status,
    ...(outcome.status === 'passed' ? { manner: outcome.manner } : { error: outcome.error }),
    ...(lastLine === undefined ? {} : { lastLine }),
    duration,
  };
}

/** What cannot be had of a list that is to be proven. */
export function requirePlatforms(reference: string, platforms: readonly string[]): void {
  if (platforms.length > 0) return;
  throw new ArchfarmError('not-found', `${reference} has no platforms to run it on`, {
    hint: 'archfarm inspect shows what it holds',
  });
}
