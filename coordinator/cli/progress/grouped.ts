/**
 * Plain progress in the log of a CI system: what platforms do comes as it happens, what they print when they are through, each in a
 * group of its own. They build at the same time, and groups cannot interleave.
 */
import type { Frame, StateEvent } from '../../../shared/progress.ts';
import { formatDuration } from '../../../shared/duration.ts';
import type { CiSystem } from './ci/ci-system.ts';
import { shortened } from './ci/shortened.ts';
import { PlainLines } from './plain-lines.ts';
import { PlainRenderer, type PlainOptions } from './plain.ts';
import type { Renderer, Screen } from './renderer.ts';
import { plainText } from './sanitize.ts';
import { parseStepName } from './step-name.ts';

/** Characters held back of a platform; what is beyond comes in a further group, so a long log costs no memory and no disk. */
const maxHeld = 1024 * 1024;
/** Characters of a step's name; whole it is in the group. */
const maxLive = 160;

interface HeldOutput {
  lines: string[];
  length: number;
  /** Groups of this attempt that were written already. */
  parts: number;
  /** ` on rack-07 (native)`, as far as that is known. */
  readonly where: string;
  pushes: boolean;
  /** Milliseconds since 1970: of the attempt, and of the first of these lines. */
  readonly began: number;
  from: number | undefined;
  to: number;
}

export interface GroupedOptions extends PlainOptions {
  readonly system: CiSystem;
}

export class GroupedRenderer implements Renderer {
  readonly #screen: Screen;
  readonly #system: CiSystem;
  readonly #live: PlainRenderer;
  readonly #lines: PlainLines;
  /** By platform. */
  readonly #held = new Map<string, HeldOutput>();

  constructor(screen: Screen, { system, ...options }: GroupedOptions) {
    this.#screen = screen;
    this.#system = system;
    this.#live = new PlainRenderer(screen, options);
    this.#lines = new PlainLines(options);
  }

  note(text: string): void {
    this.#live.note(text);
  }

  show(frame: Frame): void {
    const lines = this.#lines.of(frame);
    const { platform } = frame;
    if (platform === undefined) {
      // What came of platforms after their ends, like the proof of what was published, is complete by now.
      if (frame.type === 'result') this.#writeAll();
      this.#say(lines);
      return;
    }
    switch (frame.type) {
      case 'state':
        this.#state(platform, frame);
        this.#say(lines);
        return;
      case 'warning':
      case 'publish':
      case 'result':
        this.#say(lines);
        return;
      case 'step':
        this.#hold(platform, frame, lines);
        if (frame.status === 'started' && isOfInterest(frame.name)) {
          this.#say(lines.map((line) => shortened(line, maxLive)));
        }
        return;
      case 'push': {
        const held = this.#hold(platform, frame, lines);
        if (!held.pushes && frame.status === 'Pushing') {
          held.pushes = true;
          this.#say([`[${plainText(platform)}] pushing`]);
        }
        return;
      }
      case 'log':
      case 'context':
        this.#hold(platform, frame, lines);
        return;
      default:
        frame satisfies never;
    }
  }

  /** What a build that is left, or a connection that is lost, has brought so far. */
  [Symbol.dispose](): void {
    this.#writeAll();
  }

  #say(lines: readonly string[]): void {
    for (const line of lines) this.#live.print(line);
  }

  #state(platform: string, frame: Frame & StateEvent): void {
    const held = this.#held.get(platform);
    const starts = frame.state === 'running' && frame.agent !== undefined;
    if (held !== undefined) {
      held.to = frame.time;
      const outcome = frame.state === 'queued' || starts ? 'given up' : frame.state;
      this.#write(
        platform,
        held,
        `: ${outcome} after ${formatDuration(Math.max(0, frame.time - held.began))}`,
      );
      this.#held.delete(platform);
    }
    if (!starts) return;
    this.#held.set(platform, nothing(frame, whereOf(frame.agent, frame.native)));
  }

  #hold(platform: string, frame: Frame, lines: readonly string[]): HeldOutput {
    const held = this.#held.get(platform) ?? nothing(frame, whereOf(frame.agent, undefined));
    this.#held.set(platform, held);
    held.from ??= frame.time;
    held.to = frame.time;
    held.lines.push(...lines);
    held.length += lines.reduce((sum, line) => sum + line.length + 1, 0);
    if (held.length >= maxHeld) this.#write(platform, held, ', goes on');
    return held;
  }

  #writeAll(): void {
    for (const [platform, held] of this.#held) this.#write(platform, held, '');
    this.#held.clear();
  }

  #write(platform: string, held: HeldOutput, outcome: string): void {
    if (held.lines.length === 0) return;
    const { lines, from = held.to, to } = held;
    held.parts += 1;
    const part = held.parts > 1 || outcome === ', goes on' ? `, part ${held.parts}` : '';
    const title = `${plainText(platform)}${held.where}${part}${outcome}`;
    this.#screen.write(this.#system.group({ title, lines, from, to }));
    held.lines = [];
    held.length = 0;
    held.from = undefined;
  }
}

function nothing({ time }: Frame, where: string): HeldOutput {
  return { lines: [], length: 0, parts: 0, where, pushes: false, began: time, from: undefined, to: time };
}

function whereOf(agent: string | undefined, native: boolean | undefined): string {
  if (agent === undefined) return '';
  return ` on ${plainText(agent)}${native === undefined ? '' : native ? ' (native)' : ' (emulated)'}`;
}

/** A step of the Dockerfile that is not in the cache, or a phase of ours: what tells where a build is. */
function isOfInterest(name: string): boolean {
  return /\d\/\d|^test$|^verify$/.test(parseStepName(name).label);
}
