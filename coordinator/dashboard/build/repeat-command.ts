/** The command that builds the same again, for a shell. */
import type { BuildResult } from '../../../shared/progress.ts';

/** Where its project file or directory is; what is secret of it is not told. */
export function repeatCommand({ name, platforms, tags, repeat }: BuildResult): string {
  const { dockerfile, target, args = [], flags = [] } = repeat ?? {};
  const words = [
    ...flag('-f', dockerfile),
    ...tags.flatMap((tag) => flag('-t', tag)),
    ...flag('--platform', platforms.map(({ platform }) => platform).join(',')),
    ...flag('--target', target),
    ...args.flatMap((argument) => flag('--build-arg', argument)),
    ...flags,
  ];
  // Whoever chose the name chose no flags for whoever pastes it.
  const all = name.startsWith('-') ? [...words, '--', name] : [name, ...words];
  return ['archfarm build', ...all.map(quoted)].join(' ');
}

function flag(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}

/** Who asked for the build chose these texts, and another may paste them. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
