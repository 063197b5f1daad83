/** The part of the coordinator's HTTP API that is about who may do what, and who did what. */
import * as v from 'valibot';
import type { AuditHead } from '../trust/audit-chain.ts';
import { roles, type Role } from '../trust/principal.ts';
import { ApiCalls, type ApiOptions } from './api-calls.ts';

const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const headSchema = v.object({ number, hash: v.string() });
const auditSchema = v.object({
  rows: v.array(v.object({ number, time: v.number(), entry: v.string(), hash: v.string() })),
  head: headSchema,
});

const roleSchema = v.picklist(roles);
const identitySchema = v.object({
  type: v.picklist(['user', 'agent', 'token', 'machine']),
  name: v.string(),
  role: v.optional(roleSchema),
  repositories: v.optional(v.array(v.string()), []),
});
export type Identity = v.InferOutput<typeof identitySchema>;

const certificateSchema = v.object({ fingerprint: v.string(), expiresAt: v.number() });

const usersSchema = v.object({
  users: v.array(
    v.object({
      name: v.string(),
      role: roleSchema,
      repositories: v.array(v.string()),
      addedAt: v.number(),
      addedBy: v.string(),
      certificate: v.optional(certificateSchema),
    }),
  ),
});
export type UserInfo = v.InferOutput<typeof usersSchema>['users'][number];

const addedSchema = v.object({
  name: v.string(),
  role: roleSchema,
  token: v.string(),
  certificate: v.optional(certificateSchema),
});
export type AddedUser = v.InferOutput<typeof addedSchema>;

export type AuditPage = v.InferOutput<typeof auditSchema>;

export class TrustApi implements Disposable {
  readonly #calls: ApiCalls;

  constructor(options: ApiOptions) {
    this.#calls = new ApiCalls(options);
  }

  [Symbol.dispose](): void {
    this.#calls[Symbol.dispose]();
  }

  /** Whether a coordinator answers, which sees nothing of us yet. */
  async reach(signal: AbortSignal): Promise<void> {
    await this.#calls.send('GET', 'healthz', { signal });
  }

  whoami(signal: AbortSignal): Promise<Identity> {
    return this.#calls.read(identitySchema, ['GET', 'v1/whoami'], { signal });
  }

  async users(signal: AbortSignal): Promise<UserInfo[]> {
    return (await this.#calls.read(usersSchema, ['GET', 'v1/users'], { signal })).users;
  }

  addUser(
    body: {
      readonly name: string;
      readonly role: Role;
      readonly repositories: readonly string[];
      /** PEM. */
      readonly certificate?: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<AddedUser> {
    return this.#calls.read(addedSchema, ['POST', 'v1/users'], { body, signal });
  }

  async removeUser(name: string, signal: AbortSignal): Promise<void> {
    await this.#calls.send('DELETE', `v1/users/${encodeURIComponent(name)}`, { signal });
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
