/** Build arguments that look like secrets, told by their names as BuildKit's check SecretsUsedInArgOrEnv does. */
import type { BuildPlan } from './spec.ts';

const secretWord = /(?:^|_)(?:apikey|auth|credentials?|key|passwd|password|pword|secret|token)(?:_|$)/i;
const publicWord = /(?:^|_)public(?:_|$)/i;

/** One warning for each such argument that has a value. */
export function secretArgumentWarnings({
  args,
  perPlatform,
}: Pick<BuildPlan, 'args' | 'perPlatform'>): string[] {
  const given = [args, ...Object.values(perPlatform).map((override) => override.args ?? {})].flatMap((own) =>
    Object.entries(own).flatMap(([name, value]) => (value === '' ? [] : [name])),
  );
  return [...new Set(given)].filter(looksSecret).map(warningFor);
}

export function looksSecret(name: string): boolean {
  return secretWord.test(name) && !publicWord.test(name);
}

function warningFor(name: string): string {
  const id = name.toLowerCase();
  return `the build argument ${name} looks like a secret: its value stays in the image's history, where everybody who can pull the image reads it; give it as --secret id=${id},env=${name} and mount it: RUN --mount=type=secret,id=${id}`;
}
