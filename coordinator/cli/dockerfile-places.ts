/** Where in whose Dockerfile a step of a build is. */
import path from 'node:path';
import type { OpenedContext } from '../context/open-context.ts';
import { lineOfStep, type FailedStep } from '../context/step-line.ts';
import type { BuildPlan } from '../project/spec.ts';

export interface DockerfilePlace {
  /** What people call the file: its path from where they are, or in a context that is no directory. */
  readonly name: string;
  /** Absolute; undefined where it is no file of this machine. */
  readonly path: string | undefined;
  /** Counted from 1. */
  readonly line: number;
}

export type FindPlace = (failed: FailedStep & { readonly platform: string }) => DockerfilePlace | undefined;

/** Finds it in what was sent, whatever the file says by then. */
export function placesOf(
  plan: Pick<BuildPlan, 'dockerfile' | 'perPlatform'>,
  { dockerfile, perPlatform }: Pick<OpenedContext, 'dockerfile' | 'perPlatform'>,
): FindPlace {
  return ({ platform, ...failed }) => {
    const { text } = perPlatform.get(platform) ?? dockerfile;
    const source = plan.perPlatform[platform]?.dockerfile ?? plan.dockerfile;
    const line = lineOfStep(text, failed);
    if (line === undefined) return undefined;
    switch (source.type) {
      case 'file':
        return { name: shown(source.path), path: source.path, line };
      case 'context':
        return { name: source.path, path: undefined, line };
      case 'stdin':
        return { name: 'the standard input', path: undefined, line };
      case 'inline':
        return { name: 'dockerfile_inline', path: undefined, line };
      default:
        return source satisfies never;
    }
  };
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith(`..${path.sep}`) ? file : relative;
}
