/** Keeps the certificate good: renews one of the farm's own in time, and takes up what others put in its place. */
import { X509Certificate } from 'node:crypto';
import { delay } from '../shared/abort.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import type { TlsTrust } from '../shared/trust.ts';
import { requestCertificate } from './certificate-request.ts';
import { readPem } from './certificate.ts';
import { writeCertificate, type CertificateFiles } from './identity.ts';

export interface CertificateWatchOptions {
  readonly coordinator: URL;
  readonly trust: () => TlsTrust;
  readonly files: CertificateFiles;
  /** Where `join` put them; undefined for those of another authority, which somebody else renews. */
  readonly data: string | undefined;
  /** Milliseconds between two looks. */
  readonly interval: number;
  readonly log: Logger;
  /** Another one than before counts from now on. */
  readonly changed: () => void;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #last: string;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#last = readPem(options.files.certificate);
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#look(signal);
      } catch (error) {
        // The next look is soon enough: a third of its life is left.
        if (!signal.aborted) {
          this.#options.log.warn({ reason: messageOf(error) }, 'the certificate could not be renewed');
        }
      }
      await delay(this.#options.interval, signal).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { files, data, coordinator, trust, log, changed } = this.#options;
    const current = readPem(files.certificate);
    if (data !== undefined && isDue(new X509Certificate(current), Date.now())) {
      const call = { coordinator, path: 'v1/agent/renew', trust: trust(), signal };
      const { text } = await requestCertificate(call);
      await writeCertificate(data, text);
      log.info({ until: new X509Certificate(text).validTo }, 'renewed the certificate');
    }
    const next = readPem(files.certificate);
    if (next === this.#last) return;
    this.#last = next;
    changed();
  }
}

/** Two thirds of its life are over. */
export function isDue({ validFrom, validTo }: X509Certificate, now: number): boolean {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return now >= from + ((to - from) * 2) / 3;
}
