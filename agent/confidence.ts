/** What an attempt is told in confidence, secrets and credentials, is masked in everything that it tells. */
import { Mask } from '../shared/mask/mask.ts';
import type { Answer, Question } from '../shared/messages.ts';
import type { RegistryAuth } from '../shared/task.ts';

type Ask = (question: Question, signal: AbortSignal) => Promise<Answer>;

/** Asks as `ask` does, and keeps what it is told in mind. */
export function inConfidence(ask: Ask, mask: Mask): Ask {
  return async (question, signal) => {
    const answer = await ask(question, signal);
    if (answer.kind === 'secret') mask.add(Buffer.from(answer.value, 'base64'));
    if (answer.kind === 'auth') conceal(answer.auth, mask);
    return answer;
  };
}

/**
 * An engine that runs the same step for two builds runs it once, and both hear its output: so the secrets of a build
 * must be known before its first line, not when a step asks for them. One that is not to be had is asked for again then.
 */
export async function learnSecrets(
  ids: readonly string[],
  { ask, signal }: { ask: Ask; signal: AbortSignal },
): Promise<void> {
  await Promise.allSettled(ids.map((id) => ask({ kind: 'secret', id }, signal)));
}

export function conceal(auth: RegistryAuth, mask: Mask): void {
  if (auth.type === 'bearer') mask.add(auth.token);
  if (auth.type !== 'basic') return;
  const { username, password } = auth;
  mask.add(password);
  mask.add(Buffer.from(`${username}:${password}`).toString('base64'));
}
