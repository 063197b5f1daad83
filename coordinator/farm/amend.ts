/** What going on from a build that has ended means: which build is submitted instead, or why there is none. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../../shared/platform.ts';
import type { BuildResult } from '../../shared/progress.ts';
import type { BuildSpec } from '../project/spec.ts';
import type { NewBuild, Origin, Remains } from './events.ts';

/** A build that goes on from another one. */
export interface FollowUp extends Pick<NewBuild, 'spec' | 'carried'> {
  readonly origin: Origin;
}

/** Builds again what did not end well; throws `usage` where nothing failed, or nothing has ended yet. */
export function retryOf(result: BuildResult, remains: Remains | undefined): FollowUp {
  const { build, status, tags } = result;
  refuseOpen(result);
  const isWhole = result.platforms.every((task) => task.status === 'pushed');
  if (status === 'succeeded' && isWhole) {
    throw new ArchfarmError('usage', `build ${build} succeeded: there is nothing to retry`, {
      hint: `archfarm amend ${build} --platform … adds a platform to what it published`,
    });
  }
  if (status === 'superseded') {
    throw new ArchfarmError('usage', `a newer build than ${build} has published ${tags.join(', ')}`, {
      hint: 'archfarm build builds what is there now',
    });
  }
  const { spec, images, origin } = requireRemains(build, remains);
  // What a failed amendment was to add is still to be added, to the same list.
  if (origin?.type === 'amend') return { spec, carried: images, origin };
  return { spec, carried: images, origin: { type: 'retry', build } };
}

/** Builds these platforms from the same trees; throws `usage` for a build that has published nothing. */
export function amendmentOf(
  result: BuildResult,
  remains: Remains | undefined,
  { platforms, allowEmulation }: { readonly platforms: readonly string[]; readonly allowEmulation: boolean },
): FollowUp {
  const { build, status } = result;
  refuseOpen(result);
  // One whose proof failed has.
  if (status !== 'succeeded' && result['containerimage.digest'] === undefined) {
    throw new ArchfarmError('usage', `build ${build} has published nothing that could be amended`, {
      hint: `it ended as ${status}; archfarm retry ${build} builds what failed`,
    });
  }
  const { spec } = requireRemains(build, remains);
  const wanted = [...new Set(platforms.map((platform) => formatPlatform(parsePlatform(platform))))];
  return {
    spec: {
      ...spec,
      platforms: wanted,
      ...(spec.perPlatform === undefined ? {} : { perPlatform: only(wanted, spec.perPlatform) }),
      annotations: { ...spec.annotations, platforms: only(wanted, spec.annotations.platforms) },
      allowEmulation: spec.allowEmulation || allowEmulation,
    },
    origin: { type: 'amend', build },
  };
}

/** Ids of secrets, or of ssh agents, are all that is kept of them; throws `usage` naming the first that is missing. */
export function requireGiven(
  { secrets, ssh }: Pick<BuildSpec, 'secrets' | 'ssh'>,
  given: { readonly secrets: readonly string[]; readonly ssh: readonly string[] },
): void {
  const secret = secrets.find((id) => !given.secrets.includes(id));
  if (secret !== undefined) {
    throw new ArchfarmError('usage', `the build needs its secret ${JSON.stringify(secret)} again`, {
      hint: `values are never kept: give it with --secret id=${secret},src=FILE`,
    });
  }
  const agent = ssh.find((id) => !given.ssh.includes(id));
  if (agent === undefined) return;
  throw new ArchfarmError('usage', `the build needs its ssh agent ${JSON.stringify(agent)} again`, {
    hint: `give it with --ssh ${agent}`,
  });
}

function refuseOpen({ build, status }: BuildResult): void {
  if (status !== 'queued' && status !== 'running' && status !== 'publishing') return;
  throw new ArchfarmError('usage', `build ${build} still goes on`, {
    hint: `archfarm attach ${build} follows it, archfarm cancel ${build} ends it`,
  });
}

function requireRemains(build: string, remains: Remains | undefined): Remains {
  if (remains !== undefined) return remains;
  throw new ArchfarmError('usage', `of build ${build} only the result is kept`, {
    hint: 'an older coordinator archived it: build it again with archfarm build',
  });
}

function only<T>(platforms: readonly string[], all: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([platform]) => platforms.includes(platform)));
}
