/** `archfarm verify` as the coordinator serves it: what a reference lists is run, and told line by line. */
import * as v from 'valibot';
import type { FastifyReply } from 'fastify';
import { formatReference, parseReference } from '../../shared/reference.ts';
import { parsePlatform } from '../../shared/platform.ts';
import { proofRequestSchema } from '../../shared/schemas.ts';
import { toErrorInfo, type ErrorInfo } from '../../shared/errors.ts';
import { lookUp } from '../manifest/lookup.ts';
import { imageFor, listPlatforms } from '../manifest/platforms.ts';
import { requirePlatforms, type PlatformProof, type Proofs } from '../proof/proofs.ts';
import type { Registries } from '../registry/registries.ts';

export const proofBody = v.strictObject({
  ...proofRequestSchema.entries,
  reference: v.pipe(v.string(), v.minLength(1), v.maxLength(512)),
  /** Empty: all that it lists. */
  platforms: v.pipe(v.array(v.string()), v.maxLength(64)),
  allowEmulation: v.boolean(),
  waitAgent: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});

export type ProofBody = v.InferOutput<typeof proofBody>;

export type ProofLine =
  | { readonly type: 'found'; readonly reference: string; readonly platforms: readonly string[] }
  | {
      readonly type: 'started';
      readonly platform: string;
      readonly agent: string;
      readonly native: boolean;
    }
  | { readonly type: 'ended'; readonly proof: PlatformProof }
  /** What kept all of it from coming to an end. The last line where there is one. */
  | { readonly type: 'error'; readonly error: ErrorInfo }
  | { readonly type: 'over' };

export interface ProofSources {
  readonly registries: Registries;
  readonly proofs: Proofs;
}

/** By digest from here on: a tag may move meanwhile. Throws `not-found`, and what registries answer. */
export async function findSubject(
  { reference: text, platforms: wanted }: ProofBody,
  registries: Registries,
  signal: AbortSignal,
): Promise<{ reference: string; platforms: readonly string[] }> {
  const { manifest, repository } = await lookUp(text, registries, signal);
  const reference = repository.reference(manifest.digest);
  const offered = await listPlatforms(reference, registries, signal);
  const platforms =
    wanted.length === 0
      ? offered.map(({ platform }) => platform).filter((platform) => platform !== 'unknown')
      : wanted.map((platform) => imageFor(parsePlatform(platform), { offered, reference: text }).platform);
  requirePlatforms(text, platforms);
  return { reference: formatReference(parseReference(reference)), platforms: [...new Set(platforms)] };
}

/** Milliseconds between empty lines while nothing happens, so that no proxy takes the answer for dead. */
const keepAlive = 15_000;

export async function sendProofs(
  reply: FastifyReply,
  { body, sources, signal }: { body: ProofBody; sources: ProofSources; signal: AbortSignal },
): Promise<void> {
  const { registries, proofs } = sources;
  const { command, timeout, network, allowEmulation, waitAgent } = body;
  const subject = await findSubject(body, registries, signal);
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  const say = (line: ProofLine): boolean => raw.write(`${JSON.stringify(line)}\n`);
  say({ type: 'found', ...subject });
  const timer = setInterval(() => raw.write('\n'), keepAlive);
  try {
    await proofs.run(
      { command, timeout, network, allowEmulation, waitAgent, ...subject },
      {
        signal,
        onStart: (start) => void say({ type: 'started', ...start }),
        onEnd: (proof) => void say({ type: 'ended', proof }),
      },
    );
    say({ type: 'over' });
  } catch (error) {
    if (!signal.aborted) say({ type: 'error', error: toErrorInfo(error) });
  } finally {
    clearInterval(timer);
    raw.end();
  }
}
