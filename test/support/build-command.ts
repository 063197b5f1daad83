/** `archfarm build` with its events, which it writes as JSON lines. */
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { parseFrame } from '../../coordinator/cli/api-answers.ts';
import type { BuildResult, Frame, PlatformResult } from '../../shared/progress.ts';
import { startArchfarm, type CommandOptions, type EndedCommand } from './archfarm-command.ts';
import { until } from './until.ts';

export interface EndedBuild extends EndedCommand {
  readonly frames: readonly Frame[];
  readonly result: BuildResult;
}

export interface RunningBuild extends AsyncDisposable {
  ended(): Promise<EndedBuild>;
  /** What happened so far. */
  frames(): Frame[];
  /** The build's id, as soon as there is one. */
  id(): Promise<string>;
  /** Waits until a step of every one of these platforms has written this. */
  logged(text: string, platforms: readonly string[]): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** Enough for a step under emulation on a busy machine. */
const patience = { timeout: 60_000 };

export function startBuild(args: readonly string[], options: CommandOptions): RunningBuild {
  const command = startArchfarm(['build', '--progress', 'rawjson', ...args], options);
  const frames = (): Frame[] => framesOf(command.stderr);
  return {
    ended: async () => endedBuild(await command.ended),
    frames,
    id: () => until(() => frames()[0]?.build, { ...patience, what: 'the build gets an id' }),
    async logged(text, platforms) {
      const isIn = (platform: string): boolean =>
        frames().some(
          (frame) => frame.type === 'log' && frame.platform === platform && frame.text.includes(text),
        );
      const what = `${text} from ${platforms.join(', ')}`;
      await until(() => platforms.every((platform) => isIn(platform)), { ...patience, what });
    },
    kill: (signal) => command.kill(signal),
    [Symbol.asyncDispose]: () => command[Symbol.asyncDispose](),
  };
}

export async function runBuild(args: readonly string[], options: CommandOptions): Promise<EndedBuild> {
  await using build = startBuild(args, options);
  return await build.ended();
}

/** A build that must succeed. */
export async function buildImage(args: readonly string[], options: CommandOptions): Promise<EndedBuild> {
  const build = await runBuild(args, options);
  assert.is(build.status, 0, build.stderr);
  return build;
}

/** The events of a build in what a command wrote, less what that says of itself; other lines are for people. */
export function framesOf(output: string): Frame[] {
  return output
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line): unknown => JSON.parse(line))
    .filter((event) => v.is(v.object({ seq: v.number() }), event))
    .map((event) => parseFrame(event));
}

export function platformOf(result: BuildResult, platform: string): PlatformResult {
  const found = result.platforms.find((candidate) => candidate.platform === platform);
  assert.ok(found, `the result has no ${platform}`);
  return found;
}

function endedBuild(ended: EndedCommand): EndedBuild {
  const frames = framesOf(ended.stderr);
  const last = frames.at(-1);
  assert.ok(last?.type === 'result', `no result: ${ended.stderr}`);
  return { ...ended, frames, result: last.result };
}
