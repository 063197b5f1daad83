/** Clients as a coordinator sees them: they submit a build, and follow its events to the result. */
import { Agent, request, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import * as v from 'valibot';
import { noAnnotations } from '../../coordinator/project/annotations.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';
import { digestOf, encodeDirectory } from '../../shared/context/encoding.ts';

export interface Ended {
  readonly status: string;
  readonly digest: string | undefined;
  /** Tries of all platforms. */
  readonly attempts: number;
  /** Frames that were not the next one. */
  readonly gaps: number;
  readonly frames: number;
}

/** What a refusal says. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const dockerfile = Buffer.from('FROM scratch\n');
const { digest: root, record } = encodeDirectory({
  entries: [
    { type: 'file', name: 'Dockerfile', mode: 0o644, size: dockerfile.length, digest: digestOf(dockerfile) },
  ],
});
const submitted = v.object({ build: v.string() });
const result = v.object({
  result: v.object({
    status: v.string(),
    'containerimage.digest': v.optional(v.string()),
    platforms: v.array(v.object({ attempts: v.array(v.unknown()) })),
  }),
});

export class ScaleClient {
  readonly #coordinator: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4_000 });

  constructor(coordinator: URL) {
    this.#coordinator = coordinator;
  }

  /** The build's id; throws `Refused`. */
  async submit(tag: string, platforms: readonly string[]): Promise<string> {
    const body = { spec: specOf(tag, platforms), directories: [record.toString('base64')] };
    const answer = await this.ask('POST', '/v1/builds', body);
    const said = await json(answer);
    if (answer.statusCode !== 201) throw new Refused(answer.statusCode ?? 0, JSON.stringify(said));
    return v.parse(submitted, said).build;
  }

  /** To the end of the build. */
  async follow(build: string): Promise<Ended> {
    const answer = await this.ask('GET', `/v1/builds/${build}/events?follow=1`);
    const counter = new FrameCounter();
    for await (const part of answer) counter.take(part);
    const { result: said } = v.parse(result, JSON.parse(counter.last.toString()));
    return {
      status: said.status,
      digest: said['containerimage.digest'],
      attempts: said.platforms.reduce((sum, { attempts }) => sum + attempts.length, 0),
      gaps: counter.gaps,
      frames: counter.frames,
    };
  }

  async json(path: string): Promise<unknown> {
    return json(await this.ask('GET', path));
  }

  ask(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.#coordinator), {
        method,
        agent: this.#agent,
        headers: payload === undefined ? {} : { 'content-type': 'application/json' },
      });
      outgoing.on('response', resolve).on('error', reject).end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Looks at the numbers of frames alone: a flood is too much to parse. */
export class FrameCounter {
  frames = 0;
  gaps = 0;
  bytes = 0;
  seq: number;
  /** The last whole line. */
  last: Buffer = Buffer.alloc(0);
  #rest: Buffer[] = [];

  readonly #see: (line: Buffer) => void;

  constructor({ after = 0, see = () => {} }: { after?: number; see?: (line: Buffer) => void } = {}) {
    this.seq = after;
    this.#see = see;
  }

  take(part: Buffer): void {
    this.bytes += part.length;
    let start = 0;
    for (let at = part.indexOf(0x0a); at !== -1; at = part.indexOf(0x0a, start)) {
      const piece = part.subarray(start, at);
      this.#line(this.#rest.length === 0 ? piece : Buffer.concat([...this.#rest, piece]));
      this.#rest = [];
      start = at + 1;
    }
    if (start < part.length) this.#rest.push(part.subarray(start));
  }

  #line(line: Buffer): void {
    // An empty one keeps the connection open.
    if (line.length === 0) return;
    const seq = Number(/^\{"seq":(\d+)/.exec(line.toString('latin1', 0, 32))?.[1]);
    if (seq !== this.seq + 1) this.gaps += 1;
    this.seq = seq;
    this.frames += 1;
    this.last = line;
    this.#see(line);
  }
}

function specOf(tag: string, platforms: readonly string[]): BuildSpec {
  return {
    name: 'app',
    optional: [],
    agentLabels: {},
    priority: 0,
    tags: [tag],
    platforms,
    args: {},
    labels: {},
    noCache: false,
    pull: false,
    extraHosts: [],
    cacheFrom: [],
    type: 'auto',
    annotations: noAnnotations,
    childTags: false,
    force: false,
    inlineCache: false,
    secrets: [],
    ssh: [],
    suffix: 'repo',
    allowEmulation: false,
    waitAgent: 60_000,
    context: { root, name: 'app', files: 1, bytes: dockerfile.length },
    dockerfile: { root, name: 'Dockerfile' },
    contexts: [],
  };
}
