/**
 * What travels about builds, with the secrets in it masked: only in what people write and read, so that a secret that
 * happens to be `failed` or a digest breaks nothing.
 */
import type { ErrorInfo } from '../errors.ts';
import type { TaskEvent } from '../progress.ts';
import type { ProofOutcome } from '../proof.ts';
import type { Outcome } from '../task.ts';
import type { Mask } from './mask.ts';

export function maskedEvent(event: TaskEvent, mask: Mask): TaskEvent {
  switch (event.type) {
    case 'step': {
      const { name, error } = event;
      return { ...event, name: mask.text(name), ...(error === undefined ? {} : { error: mask.text(error) }) };
    }
    case 'log':
      return { ...event, text: mask.text(event.text) };
    case 'push':
      return { ...event, status: mask.text(event.status) };
    case 'warning':
      return { ...event, message: mask.text(event.message) };
    case 'context':
      return event;
    default:
      return event satisfies never;
  }
}

export function maskedError({ code, message, hint }: ErrorInfo, mask: Mask): ErrorInfo {
  return { code, message: mask.text(message), ...(hint === undefined ? {} : { hint: mask.text(hint) }) };
}

export function maskedOutcome(outcome: Outcome, mask: Mask): Outcome {
  switch (outcome.status) {
    case 'pushed':
      return outcome;
    case 'failed':
      return { ...outcome, error: maskedError(outcome.error, mask) };
    case 'cancelled':
      return { ...outcome, reason: mask.text(outcome.reason) };
    default:
      return outcome satisfies never;
  }
}

export function maskedProof(outcome: ProofOutcome, mask: Mask): ProofOutcome {
  const output = mask.text(outcome.output);
  if (outcome.status === 'passed') return { ...outcome, output };
  return { ...outcome, output, error: maskedError(outcome.error, mask) };
}
