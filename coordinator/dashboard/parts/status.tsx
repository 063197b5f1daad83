/** States, told by a shape and a word as well as by a colour. */
import type { AttemptOutcome, BuildStatus, StepEvent, TaskStatus } from '../../../shared/progress.ts';

export type Tone = 'good' | 'bad' | 'busy' | 'waiting' | 'quiet' | 'warning';

type Known = BuildStatus | TaskStatus | AttemptOutcome | StepEvent['status'] | AgentState;
type AgentState = 'ready' | 'draining' | 'cordoned' | 'suspect' | 'offline';

const tones: Readonly<Record<Known, Tone>> = {
  queued: 'waiting',
  running: 'busy',
  publishing: 'busy',
  started: 'busy',
  succeeded: 'good',
  pushed: 'good',
  done: 'good',
  cached: 'quiet',
  failed: 'bad',
  lost: 'bad',
  cancelled: 'quiet',
  superseded: 'quiet',
  skipped: 'quiet',
  ready: 'good',
  draining: 'waiting',
  cordoned: 'bad',
  suspect: 'warning',
  offline: 'quiet',
};

export function toneOf(state: Known): Tone {
  return tones[state] ?? 'quiet';
}

const shapes: Readonly<Record<Tone, string>> = {
  good: 'M3.5 8.5 6.5 11.5 12.5 4.5',
  bad: 'M4 4 12 12 M12 4 4 12',
  busy: 'M8 2.5 A5.5 5.5 0 1 1 2.5 8',
  waiting: 'M8 4 V8 L10.5 10',
  warning: 'M8 3.5 V9 M8 12 V12.2',
  quiet: 'M4 8 H12',
};

export function ToneIcon({ tone }: { readonly tone: Tone }) {
  return (
    <svg class={`icon ${tone}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {tone === 'waiting' && <circle cx="8" cy="8" r="6" />}
      <path d={shapes[tone]} />
    </svg>
  );
}

export function Status({ state, pill = false }: { readonly state: Known; readonly pill?: boolean }) {
  const tone = toneOf(state);
  return (
    <span class={`status ${tone}${pill ? ' pill' : ''}`}>
      <ToneIcon tone={tone} />
      {state}
    </span>
  );
}
