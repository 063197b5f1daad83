/** What an agent is told of one platform of a build. */
import { formatReference, parseReference, suffixedReference } from '../../shared/reference.ts';
import { parsePlatform, platformSuffix } from '../../shared/platform.ts';
import type { Task } from '../../shared/task.ts';
import type { BuildSpec } from '../project/spec.ts';

/** Where the image of a platform is pushed: the first tag's name with the platform's suffix. */
export function platformImage(spec: Pick<BuildSpec, 'tags' | 'suffix'>, platform: string): string {
  const [first = ''] = spec.tags;
  return formatReference(
    suffixedReference(parseReference(first), platformSuffix(parsePlatform(platform)), spec.suffix),
  );
}

export function taskOf(build: string, spec: BuildSpec, platform: string): Task {
  const { registry, repository } = parseReference(spec.tags[0] ?? '');
  const {
    name: _name,
    tags: _tags,
    platforms: _platforms,
    suffix: _suffix,
    allowEmulation: _emulation,
    waitAgent: _wait,
    timeout: _timeout,
    context,
    ...rest
  } = spec;
  return {
    ...rest,
    build,
    platform,
    image: platformImage(spec, platform),
    context: { root: context.root, name: context.name },
    contextKey: `${registry}/${repository} ${context.name}`,
  };
}
