/** Gets this host a certificate: makes a key, which stays here, and has the coordinator sign for it. */
import { webcrypto } from 'node:crypto';
import * as v from 'valibot';
import { callCoordinator, type CoordinatorCall } from './coordinator-call.ts';

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
  const { key, request } = await newSigningRequest();
  const { certificate, ...rest } = await callCoordinator({ ...call, body: { request } }, answerSchema);
  return { ...rest, text: `${key}${certificate.trimEnd()}\n` };
}

/** PEM both: a new key, and the request to have it certified that proves it. */
export async function newSigningRequest(): Promise<{ readonly key: string; readonly request: string }> {
  // Large, and needed once in weeks.
  const { PemConverter, Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=archfarm agent',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: `${PemConverter.encode(key, 'PRIVATE KEY').trimEnd()}\n`, request: request.toString('pem') };
}
