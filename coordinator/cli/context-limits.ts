/** `--context-limit NAME=VALUE`, and ARCHFARM_CONTEXT_LIMITS with several of them. */
import {
  defaultLimits,
  highestLimits,
  limitSettings,
  type ContextLimits,
  type LimitName,
} from '../../shared/context/limits.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { parseSize } from '../../shared/size.ts';
import type { Environment } from '../project/interpolate.ts';

export const limitsVariable = 'ARCHFARM_CONTEXT_LIMITS';

/** A flag counts before the environment; what neither names is as usual. Throws `usage`. */
export function readContextLimits(flags: readonly string[], environment: Environment): ContextLimits {
  const listed = (environment[limitsVariable] ?? '').split(',').filter((text) => text.trim() !== '');
  const limits = [
    ...listed.map((text) => readLimit(text.trim(), limitsVariable)),
    ...flags.map((text) => readLimit(text, '--context-limit')),
  ];
  return Object.assign({ ...defaultLimits }, ...limits);
}

function readLimit(text: string, source: string): Partial<ContextLimits> {
  const [setting, value = ''] = text.split('=', 2);
  const name = limitNames.find((candidate) => limitSettings[candidate] === setting);
  if (name === undefined) {
    throw new ArchfarmError('usage', `${source}: no limit is called ${JSON.stringify(setting)}`, {
      hint: `the limits are ${Object.values(limitSettings).join(', ')}; for example entries=400000 or bytes=40GiB`,
    });
  }
  const limit = name === 'bytes' ? parseSize(value) : readCount(value, `${source} ${setting}`);
  if (limit > highestLimits[name]) {
    throw new ArchfarmError('usage', `${source}: ${text} is more than the highest, ${highestLimits[name]}`);
  }
  return { [name]: limit };
}

const limitNames = ['entries', 'bytes', 'pathBytes', 'nameBytes'] as const satisfies readonly LimitName[];

function readCount(text: string, what: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new ArchfarmError('usage', `${what}: ${JSON.stringify(text)} is not a number above 0`);
}
