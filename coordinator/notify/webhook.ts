/** Tells one URL, in order, until it has answered well. Nothing waits for it. */
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { delay, within } from '../../shared/abort.ts';
import { Backoff } from '../../shared/backoff.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { version } from '../../shared/version.ts';
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
  #work: Promise<void> | undefined;
  #full = false;

  /** Goes on with what an earlier process left. */
  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#name = publicName(options.url);
    const name = createHash('sha256').update(options.url.href).digest('hex').slice(0, 16);
    this.#queue = new DeliveryQueue(join(options.directory, `${name}.ndjson`), options.bounds);
    this.#begin();
  }

  /** What is still to be told. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Throws where it cannot be stored. */
  tell(delivery: Delivery): void {
    const taken = this.#queue.add(delivery);
    if (!taken && !this.#full) {
      this.#options.log.warn(
        { webhook: this.#name, waiting: this.waiting },
        'a webhook has too much waiting: it is not told of what comes now',
      );
    }
    this.#full = !taken;
    this.#begin();
  }

  /** What was not told is told by the next process. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  #begin(): void {
    if (this.#queue.size === 0 || this.#stop.signal.aborted) return;
    this.#work ??= this.#run()
      .catch((err: unknown) => {
        if (!this.#stop.signal.aborted) this.#options.log.error({ webhook: this.#name, err }, 'a webhook');
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.first; next !== undefined; next = this.#queue.first) {
      await this.#deliver(next);
      this.#queue.settle(next.id);
    }
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { log, timing = webhookTiming } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ first: timing.firstPause, max: timing.maxPause });
    const until = performance.now() + timing.patience;
    const late = (): Error => new Error(`no answer within ${timing.answer / 1000} s`);
    const about = { webhook: this.#name, delivery: delivery.id };
    for (let tries = 1; ; tries++) {
      const reason = await within(timing.answer, { signal, late }, (limited) =>
        this.#post(delivery, limited),
      ).then(objectionTo, messageOf);
      signal.throwIfAborted();
      if (reason === undefined) return;
      if (isFinal(reason) || performance.now() > until) {
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

function objectionTo(status: number): string | undefined {
  return status >= 200 && status < 300 ? undefined : `it answers ${status}`;
}

/** The receiver has understood, and does not want it. */
function isFinal(reason: string): boolean {
  return /^it answers [34](?!08|29)\d\d$/.test(reason);
}
