/** The coordinator's HTTP API, typed. One object is one connection pool: dispose of it when done. */
import * as v from 'valibot';
import type { StoreUsage } from '../../shared/context/store-usage.ts';
import { delay } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { ArchfarmError, fromErrorInfo, systemCode } from '../../shared/errors.ts';
import type { Demand } from '../../shared/policy.ts';
import type { BuildResult, BuildStatus, Frame } from '../../shared/progress.ts';
import type { ProofRequest } from '../../shared/proof.ts';
import type { BuildSpec } from '../project/spec.ts';
import { ApiCalls, type ApiOptions } from './api-calls.ts';
import {
  addedAgentSchema,
  agentsSchema,
  storeSchema,
  buildResultSchema,
  buildsSchema,
  parseFrame,
  pathSchema,
  planSchema,
  proofLineSchema,
  submittedSchema,
  type AddedAgent,
  type AgentInfo,
  type PlanAnswer,
  type ProofLine,
} from './api-answers.ts';

export interface Submission {
  readonly spec: BuildSpec;
  /** By id, base64. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** How it is called where somebody asks whose build it is. */
  readonly client?: string | undefined;
  /** Names the connection that contents can be had from. */
  readonly link?: string | undefined;
  /** Records of directories that the coordinator will ask for if it lacks them, base64. */
  readonly directories?: readonly string[] | undefined;
  /** Two submissions with the same key are one build. */
  readonly idempotencyKey: string;
}

/** What is given to a build that goes on from another one. */
export interface Continuation extends Required<
  Pick<Submission, 'secrets' | 'link' | 'client' | 'idempotencyKey'>
> {
  /** Ids of the ssh agents that are forwarded. */
  readonly ssh: readonly string[];
}

export interface NewAgent {
  readonly name: string;
  /** Formatted or not; none: whatever it offers. */
  readonly platforms: readonly string[];
  /** Registries, namespaces and repositories that it may push to; none: all. */
  readonly repositories: readonly string[];
}

export interface BuildsQuery {
  readonly limit?: number | undefined;
  /** A build id: only older ones. */
  readonly before?: string | undefined;
  readonly status?: BuildStatus | undefined;
}

/** Milliseconds that a coordinator has to come back from under a submission, and between two tries. */
const createPatience = 30_000;
const createPause = { first: 200, max: 2_000 };

export class Api implements Disposable {
  readonly #calls: ApiCalls;

  constructor(options: ApiOptions) {
    this.#calls = new ApiCalls(options);
  }

  [Symbol.dispose](): void {
    this.#calls[Symbol.dispose]();
  }

  /** Gives the id of the build, which is stored when this resolves. */
  async submit(submission: Submission, signal: AbortSignal): Promise<string> {
    return await this.#create('v1/builds', submission, signal);
  }

  /** Newest first. */
  async builds(query: BuildsQuery, signal: AbortSignal): Promise<BuildResult[]> {
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(key, String(value));
    }
    return (await this.#get(buildsSchema, `v1/builds?${parameters.toString()}`, signal)).builds;
  }

  /** `id` may be abbreviated as long as it is unique. */
  build(id: string, signal: AbortSignal): Promise<BuildResult> {
    return this.#get(buildResultSchema, buildPath(id), signal);
  }

  /** The frames after number `after`, over one connection; with `follow`, until the result. */
  frames(
    id: string,
    options: {
      readonly after: number;
      readonly follow: boolean;
      readonly signal: AbortSignal;
      /** The coordinator has begun to answer; frames may be a long time coming. */
      readonly onOpen?: () => void;
    },
  ): AsyncGenerator<Frame> {
    const { after, follow, signal, onOpen } = options;
    const query = `after=${after}${follow ? '&follow=1' : ''}`;
    return this.#calls.lines(`${buildPath(id)}/events?${query}`, { parse: parseFrame, signal, onOpen });
  }

  async cancel(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.send('POST', `${buildPath(id)}/cancel`, { signal });
  }

  /** Values by id, base64: for a coordinator that restarted and has them no more. */
  async supplySecrets(
    id: string,
    options: { readonly secrets: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<void> {
    const { secrets: body, signal } = options;
    await this.#calls.send('PUT', `${buildPath(id)}/secrets`, { body, signal });
  }

  /** Resolves once the build needs its client no more; throws what is in the way of that. */
  async complete(id: string, signal: AbortSignal): Promise<void> {
    await this.#calls.send('POST', `${buildPath(id)}/complete`, { signal, answerWithin: Infinity });
  }

  /** Gives the id of the build that builds again what failed of this one. */
  retry(id: string, body: Continuation, signal: AbortSignal): Promise<string> {
    return this.#create(`${buildPath(id)}/retry`, body, signal);
  }

  /** Gives the id of the build that adds platforms to what this one published. */
  amend(
    id: string,
    body: Continuation & Pick<BuildSpec, 'platforms' | 'allowEmulation'>,
    signal: AbortSignal,
  ): Promise<string> {
    return this.#create(`${buildPath(id)}/amend`, body, signal);
  }

  /** The latest build that published a reference. */
  publisher(reference: string, signal: AbortSignal): Promise<BuildResult> {
    const path = `v1/publisher?reference=${encodeURIComponent(reference)}`;
    return this.#get(buildResultSchema, path, signal);
  }

  /** What a file of a build that goes on is called; undefined where the coordinator does not know. */
  async pathOf(id: string, digest: string, signal: AbortSignal): Promise<string | undefined> {
    return (await this.#get(pathSchema, `${buildPath(id)}/path?digest=${digest}`, signal)).path;
  }

  async agents(signal: AbortSignal): Promise<AgentInfo[]> {
    return (await this.#get(agentsSchema, 'v1/agents', signal)).agents;
  }

  /** Resolves when the order is on disk. `client` is shown as who gave it. */
  async drainAgent(
    name: string,
    { client, signal }: { readonly client: string; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#calls.send('POST', `${agentPath(name)}/drain`, { body: { client }, signal });
  }

  async resumeAgent(name: string, signal: AbortSignal): Promise<void> {
    await this.#calls.send('POST', `${agentPath(name)}/resume`, { signal });
  }

  /** Lets a host join under this name. */
  addAgent(body: NewAgent, signal: AbortSignal): Promise<AddedAgent> {
    return this.#calls.read(addedAgentSchema, ['POST', 'v1/agents'], { body, signal });
  }

  /** What it had goes to others. */
  async removeAgent(name: string, signal: AbortSignal): Promise<void> {
    await this.#calls.send('DELETE', agentPath(name), { signal });
  }

  /** The coordinator's own store of contexts; undefined where it is too old to tell. */
  async contextStore(signal: AbortSignal): Promise<StoreUsage | undefined> {
    try {
      return (await this.#get(storeSchema, 'v1/store', signal)).contexts;
    } catch (error) {
      if (error instanceof ArchfarmError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Who could build what, and what registries would say to it, without building it. */
  plan(
    body: Pick<BuildSpec, 'platforms' | 'allowEmulation' | 'tags' | 'suffix' | 'force'> &
      Partial<Pick<BuildSpec, 'agentLabels'>> & {
        /** What it asks of engines: by platform, and for others under `*`. */
        demands?: Readonly<Record<string, readonly Demand[]>>;
      },
    signal: AbortSignal,
  ): Promise<PlanAnswer> {
    return this.#calls.read(planSchema, ['POST', 'v1/plan'], { body, signal });
  }

  /** Has agents run a published image. Throws what kept that from coming to an end. */
  async *verify(
    body: ProofRequest &
      Pick<BuildSpec, 'platforms' | 'allowEmulation' | 'waitAgent'> & { readonly reference: string },
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<ProofLine, { type: 'error' | 'over' }>> {
    const call = { parse: parseProofLine, signal, body, answerWithin: Infinity };
    for await (const line of this.#calls.lines('v1/verify', call)) {
      if (line.type === 'error') throw fromErrorInfo(line.error);
      if (line.type === 'over') return;
      yield line;
    }
    throw new ArchfarmError('coordinator-unreachable', 'the coordinator went away in the middle of it', {
      hint: 'run the command again: nothing is left half done',
    });
  }

  #get<T>(schema: v.GenericSchema<unknown, T>, path: string, signal: AbortSignal): Promise<T> {
    return this.#calls.read(schema, ['GET', path], { signal });
  }

  /**
   * A build; its submission may wait for registries. It has a key, under which it is one build however often it is
   * told: where the coordinator goes away before it has answered, it is told again.
   */
  async #create(path: string, body: unknown, signal: AbortSignal): Promise<string> {
    const call = { body, signal, answerWithin: Infinity };
    const backoff = new Backoff(createPause);
    for (let brokenAt: number | undefined; ; await delay(backoff.next(), signal)) {
      try {
        return (await this.#calls.read(submittedSchema, ['POST', path], call)).build;
      } catch (error) {
        if (!(error instanceof ArchfarmError) || error.code !== 'coordinator-unreachable') throw error;
        // One that was not there to begin with is not waited for.
        if (brokenAt === undefined && systemCode(error.cause) !== 'ECONNRESET') throw error;
        brokenAt ??= performance.now();
        if (performance.now() - brokenAt > createPatience) throw error;
      }
    }
  }
}

function parseProofLine(line: unknown): ProofLine {
  return v.parse(proofLineSchema, line);
}

function buildPath(id: string): string {
  return `v1/builds/${encodeURIComponent(id)}`;
}

function agentPath(name: string): string {
  return `v1/agents/${encodeURIComponent(name)}`;
}
