/** Gets this host a certificate: makes a key, which stays here, and has the coordinator sign for it. */
import * as v from 'valibot';
import { callCoordinator, type CoordinatorCall } from './coordinator-call.ts';
import { newSigningRequest } from './signing-request.ts';

export interface NewCertificate {
  /** Of the agent. */
  readonly name: string;
  /** That it may offer; none: whatever its engine can. */
  readonly platforms: readonly string[];
  /** PEM of key and certificate. */
  readonly text: string;
}

const answerSchema = v.object({ name: v.string(), platforms: v.array(v.string()), certificate: v.string() });

/** Throws what the coordinator says against it, or `coordinator-unreachable`. */
export async function requestCertificate(call: Omit<CoordinatorCall, 'body'>): Promise<NewCertificate> {
  const { key, request } = newSigningRequest();
  const { certificate, ...rest } = await callCoordinator({ ...call, body: { request } }, answerSchema);
  return { ...rest, text: `${key}${certificate.trimEnd()}\n` };
}
