/** Tells one URL, of each build in order, until it has answered well. Nothing waits for it, and no build for another. */
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { delay, within } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { version } from '../../shared/version.ts';
import { Limiter } from '../limiter.ts';
import { DeliveryQueue, type Delivery, type QueueBounds } from './delivery-queue.ts';

/** Milliseconds. */
export interface WebhookTiming {
  /** For one answer. */
  readonly answer: number;
  /** Upper bound of the first pause; doubles up to `maxPause`. */
  readonly firstPause: number;
  readonly maxPause: number;
  /** How long the same news is tried. */
  readonly patience: number;
}

export const webhookTiming: WebhookTiming = {
  answer: 10_000,
  firstPause: 1000,
  maxPause: 300_000,
  patience: 24 * 3_600_000,
};

export interface WebhookOptions {
  readonly url: URL;
  readonly secret: string;
  /** Where what is still to be told lies. */
  readonly directory: string;
  readonly log: Logger;
  readonly timing?: WebhookTiming;
  readonly bounds?: QueueBounds;
}

/** Requests to one receiver at a time. */
const maxRequests = 4;

/** What a receiver computes anew and compares; `timestamp` is seconds since 1970. */
export function signatureOf(secret: string, timestamp: number, body: string): string {
  return createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
}

/** Without path and query, in which people keep secrets. */
export function publicName(url: URL): string {
  return `${url.origin}/…`;
}

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #name: string;
  readonly #queue: DeliveryQueue;
  readonly #stop = new AbortController();
  readonly #requests = new Limiter(maxRequests);
  /** By build, what is still to be told of it. */
  readonly #builds = new Map<string, Delivery[]>();
  readonly #work = new Set<Promise<void>>();
  #full = false;

  /** Goes on with what an earlier process left. */
  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#name = publicName(options.url);
    const name = createHash('sha256').update(options.url.href).digest('hex').slice(0, 16);
    this.#queue = new DeliveryQueue(join(options.directory, `${name}.ndjson`), options.bounds);
    for (const delivery of this.#queue.waiting()) this.#take(delivery);
  }

  /** What is still to be told. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Throws where it cannot be stored. */
  tell(delivery: Delivery): void {
    if (this.#queue.has(delivery.id)) return;
    const taken = this.#queue.add(delivery);
    if (!taken && !this.#full) {
      this.#options.log.warn(
        { webhook: this.#name, build: delivery.build, waiting: this.waiting },
        'a webhook has too much waiting: it is not told of what comes now',
      );
    }
    this.#full = !taken;
    if (taken) this.#take(delivery);
  }

  /** What was not told is told by the next process. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
  }

  #take(delivery: Delivery): void {
    const { build } = delivery;
    const waiting = this.#builds.get(build);
    if (waiting !== undefined) return void waiting.push(delivery);
    this.#builds.set(build, [delivery]);
    const { log } = this.#options;
    const work = this.#run(build)
      .catch((err: unknown) => {
        if (!this.#stop.signal.aborted) log.error({ webhook: this.#name, build, err }, 'a webhook');
      })
      .finally(() => {
        this.#builds.delete(build);
        this.#work.delete(work);
      });
    this.#work.add(work);
  }

  async #run(build: string): Promise<void> {
    const waiting = this.#builds.get(build) ?? [];
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      await this.#deliver(next);
      this.#queue.settle(next.id);
      waiting.shift();
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { log, timing = webhookTiming } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ first: timing.firstPause, max: timing.maxPause });
    const until = performance.now() + timing.patience;
    const late = (): Error => new Error(`no answer within ${timing.answer / 1000} s`);
    const about = { webhook: this.#name, build: delivery.build, delivery: delivery.id };
    for (let tries = 1; ; tries++) {
      const objection = await this.#requests
        .run(
          () => within(timing.answer, { signal, late }, (limited) => this.#post(delivery, limited)),
          signal,
        )
        .then(objectionTo, (error: unknown) => ({ reason: messageOf(error), isFinal: false }));
      signal.throwIfAborted();
      if (objection === undefined) return;
      const { reason, isFinal } = objection;
      if (isFinal || performance.now() > until) {
        log.warn({ ...about, tries, reason }, 'a webhook was not told: given up');
        return;
      }
      if (tries === 1) log.warn({ ...about, reason }, 'a webhook was not told: tried again');
      await delay(backoff.next(), signal);
    }
  }

  /** The status of the answer. Redirects are not followed: the signature is for this URL. */
  #post({ id, event, body }: Delivery, signal: AbortSignal): Promise<number> {
    const { url, secret } = this.#options;
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': `archfarm/${version}`,
      'x-archfarm-event': event,
      'x-archfarm-delivery': id,
      'x-archfarm-signature': `t=${timestamp},v1=${signatureOf(secret, timestamp, body)}`,
    };
    const { request } = url.protocol === 'https:' ? https : http;
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method: 'POST', headers, signal }, (answer) => {
        // What it says is of no interest, and may be without end.
        answer.destroy();
        resolve(answer.statusCode ?? 0);
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

interface Objection {
  readonly reason: string;
  /** The receiver has understood, and does not want it. */
  readonly isFinal: boolean;
}

function objectionTo(status: number): Objection | undefined {
  if (status >= 200 && status < 300) return undefined;
  const isRefusal = status >= 300 && status < 500 && status !== 408 && status !== 429;
  return { reason: `it answers ${status}`, isFinal: isRefusal };
}
