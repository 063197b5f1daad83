/** The part of the coordinator's HTTP API that is about who may do what, and who did what. */
import * as v from 'valibot';
import type { AuditHead } from '../trust/audit-chain.ts';
import { ApiCalls, type ApiOptions } from './api-calls.ts';

const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const headSchema = v.object({ number, hash: v.string() });
const auditSchema = v.object({
  rows: v.array(v.object({ number, time: v.number(), entry: v.string(), hash: v.string() })),
  head: headSchema,
});

export type AuditPage = v.InferOutput<typeof auditSchema>;

export class TrustApi implements Disposable {
  readonly #calls: ApiCalls;

  constructor(options: ApiOptions) {
    this.#calls = new ApiCalls(options);
  }

  [Symbol.dispose](): void {
    this.#calls[Symbol.dispose]();
  }

  /** All rows from a time on (milliseconds since 1970), in pages, each with the coordinator's head at that moment. */
  async *audit(since: number, signal: AbortSignal): AsyncGenerator<AuditPage & { readonly head: AuditHead }> {
    for (let after = 0; ;) {
      const path = `v1/audit?after=${after}&since=${since}`;
      const page = await this.#calls.read(auditSchema, ['GET', path], { signal });
      yield page;
      const last = page.rows.at(-1);
      if (last === undefined) return;
      after = last.number;
    }
  }
}
