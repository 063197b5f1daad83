/** Answers what running attempts ask: how to sign in to a registry, and the values of their build's secrets. */
import type { AttemptId } from '../../shared/attempt.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Answer, Question } from '../../shared/messages.ts';
import { formatReference, parseReference } from '../../shared/reference.ts';
import { platformImage } from '../farm/task.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { Registries } from '../registry/registries.ts';
import type { BasePulls } from './base-pulls.ts';
import type { Secrets } from './secrets.ts';

export interface AnswerSources {
  readonly registries: Registries;
  readonly secrets: Secrets;
  readonly basePulls: BasePulls;
  /** Undefined for a build that has ended. */
  readonly spec: (build: string) => BuildSpec | undefined;
}

export async function answer(
  asked: { attempt: AttemptId; question: Question },
  { registries, secrets, basePulls, spec }: AnswerSources,
  signal: AbortSignal,
): Promise<Answer> {
  const { attempt, question } = asked;
  const wanted = spec(attempt.build);
  if (wanted === undefined) throw new ArchfarmError('not-found', `build ${attempt.build} has ended`);
  switch (question.kind) {
    case 'push-auth': {
      const { registry, repository } = parseReference(platformImage(wanted, attempt.platform));
      const push = [formatReference({ registry, repository })];
      return {
        kind: 'auth',
        auth: await registries.pushAuth({ push, pull: basePulls.of(attempt.build) }, signal),
      };
    }
    case 'pull-scheme':
      return { kind: 'pull-scheme', scheme: await registries.pullScheme(question.host, signal) };
    case 'pull-auth': {
      const { host, repositories } = question;
      const auth = await registries.pullAuth(host, repositories, signal);
      // The build may have ended meanwhile, and nobody would forget it again.
      if (spec(attempt.build) !== undefined) basePulls.note(attempt.build, { host, repositories });
      return { kind: 'auth', auth };
    }
    case 'secret': {
      const value = await secrets.get(attempt.build, question.id, signal);
      return { kind: 'secret', value: value.toString('base64') };
    }
    default:
      return question satisfies never;
  }
}
