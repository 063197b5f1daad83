/** Every platform on one scale of time: its attempts, what they spent their time on, and their steps. */
import { useState } from 'preact/hooks';
import { formatSize } from '../../../shared/size.ts';
import { formatDuration } from '../../../shared/duration.ts';
import { parseStepName } from '../../cli/progress/step-name.ts';
import type { BuildResult, PlatformResult } from '../../../shared/progress.ts';
import { isOpen } from '../builds/history.ts';
import { now } from '../parts/clock.ts';
import { Status, ToneIcon, toneOf } from '../parts/status.tsx';
import type { BuildSource } from './build-source.ts';
import { phasesOf, stepSpan } from './phases.ts';
import { wholeBuild } from './log-panel.tsx';
import type { AttemptRecord, BuildRecord, PlatformRecord, StepRecord } from './record.ts';

export interface TimelineProps {
  readonly source: BuildSource;
  readonly result: BuildResult;
  /** Shows the log of a platform, or of one step of it. */
  readonly pick: (platform: string, step: string) => void;
}

interface Scale {
  readonly from: number;
  readonly to: number;
}

export function Timeline({ source, result, pick }: TimelineProps) {
  void source.version.value;
  const { created } = result;
  const going = isOpen(result.status) && source.record.result === undefined;
  const to = going ? Math.max(now.value, created + 1000) : created + Math.max(1, result.timings.total);
  const scale = { from: created, to };
  return (
    <section class="panel" aria-labelledby="timeline">
      <div class="panel-head">
        <h2 id="timeline">Platforms</h2>
        <ul class="legend" aria-label="Colours of the timeline">
          <li class="phase queued">queued</li>
          <li class="phase build">build</li>
          <li class="phase test">test</li>
          <li class="phase push">push</li>
          <li class="phase verify">verify</li>
          <li class="phase publish">publish</li>
        </ul>
      </div>
      <Ruler scale={scale} />
      {result.platforms.map((platform) => (
        <PlatformRow
          key={platform.platform}
          platform={platform}
          record={source.record.platforms.get(platform.platform)}
          scale={scale}
          pick={pick}
        />
      ))}
      <Publishing record={source.record} result={result} scale={scale} pick={pick} />
    </section>
  );
}

/** What is done for the list that all platforms share. */
function Publishing({
  record: { publishing },
  result,
  scale,
  pick,
}: {
  readonly record: BuildRecord;
  readonly result: BuildResult;
  readonly scale: Scale;
  readonly pick: TimelineProps['pick'];
}) {
  if (publishing === undefined) return null;
  const { from } = publishing;
  const { publish } = result.timings;
  const to = isOpen(result.status) ? publishing.to : Math.max(publishing.to, scale.to);
  return (
    <div class="lane">
      <div class="lane-head">
        <button type="button" class="plain lane-name" onClick={() => pick(wholeBuild, '')}>
          publish
        </button>
        <span class="muted">what all platforms share</span>
        <span class="spring" />
        {publish !== undefined && (
          <span class="muted number verdict">
            {formatDuration(publish)} after the last platform
            {from < to - publish && `, ${formatDuration(to - from)} since the first image`}
          </span>
        )}
      </div>
      <div class="bar" role="img" aria-label={`publish ${formatDuration(to - from)}`}>
        <Piece name="publish" from={from} to={to} scale={scale} />
      </div>
    </div>
  );
}

/** Parts of the scale that have a mark. */
const marks = [0, 0.25, 0.5, 0.75, 1];

function Ruler({ scale }: { readonly scale: Scale }) {
  const length = scale.to - scale.from;
  return (
    <div class="ruler" aria-hidden="true">
      {marks.map((mark) => (
        <span key={mark} style={{ left: `${mark * 100}%` }}>
          {formatDuration(length * mark)}
        </span>
      ))}
    </div>
  );
}

interface PlatformRowProps {
  readonly platform: PlatformResult;
  readonly record: PlatformRecord | undefined;
  readonly scale: Scale;
  readonly pick: TimelineProps['pick'];
}

function PlatformRow({ platform: result, record, scale, pick }: PlatformRowProps) {
  const { platform, optional } = result;
  const attempts = record?.attempts ?? [];
  const status = record?.status ?? result.status;
  const latest = attempts.at(-1);
  const [open, setOpen] = useState(false);
  const agent = latest?.agent ?? result.agent;
  const native = latest?.native ?? result.native;
  return (
    <div class="lane">
      <div class="lane-head">
        <button
          type="button"
          class="plain disclose"
          aria-expanded={open}
          aria-label={`Steps of ${platform}`}
          disabled={attempts.length === 0}
          onClick={() => setOpen(!open)}
        >
          <svg
            class={`icon chevron${open ? ' open' : ''}`}
            viewBox="0 0 16 16"
            aria-hidden="true"
            focusable="false"
          >
            <path d="M6 3.5 10.5 8 6 12.5" />
          </svg>
        </button>
        <button type="button" class="plain lane-name" onClick={() => pick(platform, '')}>
          {platform}
        </button>
        <Status state={status} />
        {agent !== undefined && (
          <span class="muted">
            on <b>{agent}</b> {native === false ? <span class="chip emulated">emulated</span> : 'native'}
          </span>
        )}
        {optional && <span class="tag">optional</span>}
        <span class="spring" />
        <Verdict result={result} latest={latest} pick={pick} />
      </div>
      {attempts.length === 0 && <Waiting scale={scale} />}
      {attempts.map((attempt, index) => (
        <AttemptBar
          key={attempt.number}
          attempt={attempt}
          before={attempts[index - 1]}
          scale={scale}
          several={attempts.length > 1}
        />
      ))}
      {open && latest !== undefined && (
        <Steps attempt={latest} scale={scale} pick={(step) => pick(platform, step)} />
      )}
    </div>
  );
}

/** The test, the proof and the sizes, as far as they are known. */
function Verdict({
  result: { platform, timings, size, verify },
  latest,
  pick,
}: {
  readonly result: PlatformResult;
  readonly latest: AttemptRecord | undefined;
  readonly pick: TimelineProps['pick'];
}) {
  const test = latest?.steps.get('test');
  return (
    <span class="verdict">
      {test !== undefined && (
        <button type="button" class="plain" onClick={() => pick(platform, 'test')}>
          <ToneIcon tone={toneOf(test.status)} /> test {test.status === 'done' ? 'passed' : test.status}
        </button>
      )}
      {verify !== undefined && (
        <span
          title={verify.lastLine ?? verify.error?.message}
          class={`status ${verify.status === 'passed' ? 'good' : 'bad'}`}
        >
          <ToneIcon tone={verify.status === 'passed' ? 'good' : 'bad'} />
          {verify.status === 'passed' ? 'runs' : 'does not run'}
        </span>
      )}
      {size !== undefined && timings.push !== undefined && (
        <span class="muted number">pushed in {formatDuration(timings.push)}</span>
      )}
    </span>
  );
}

function Waiting({ scale }: { readonly scale: Scale }) {
  return (
    <div class="bar">
      <Piece name="queued" from={scale.from} to={scale.to} scale={scale} />
    </div>
  );
}

function AttemptBar({
  attempt,
  before,
  scale,
  several,
}: {
  readonly attempt: AttemptRecord;
  readonly before: AttemptRecord | undefined;
  readonly scale: Scale;
  readonly several: boolean;
}) {
  const { number, agent, outcome, error } = attempt;
  const spans = phasesOf(attempt, now.value);
  const said = spans.map(({ phase, from, to }) => `${phase} ${formatDuration(to - from)}`).join(', ');
  const queuedFrom = before?.ended ?? scale.from;
  return (
    <>
      {several && (
        <p class="attempt">
          attempt {number} on <b>{agent}</b>
          {outcome !== undefined && (
            <>
              {' '}
              <Status state={outcome} />
            </>
          )}
          {error !== undefined && <span class="muted"> {error.message}</span>}
        </p>
      )}
      <div class="bar" role="img" aria-label={`attempt ${number} on ${agent}: ${said}`}>
        <Piece name="queued" from={queuedFrom} to={attempt.began} scale={scale} />
        {spans.map(({ phase, from, to }) => (
          <Piece key={phase} name={phase} from={from} to={to} scale={scale} ended={outcome} />
        ))}
      </div>
      {attempt.ended === undefined && <Moving attempt={attempt} />}
    </>
  );
}

/** How much of the context and of the layers has moved. */
function Moving({ attempt: { context, layers } }: { readonly attempt: AttemptRecord }) {
  const all = [...layers.values()];
  const total = all.reduce((sum, layer) => sum + layer.total, 0);
  const current = all.reduce((sum, layer) => sum + layer.current, 0);
  if (context === undefined && total === 0) return null;
  return (
    <p class="attempt muted">
      {context !== undefined &&
        `context: ${formatSize(context.engineBytes)} to the engine, ${formatSize(context.sentBytes)} from the coordinator`}
      {total > 0 && ` · push: ${formatSize(current)} of ${formatSize(total)}`}
    </p>
  );
}

function Piece({
  name,
  from,
  to,
  scale,
  ended,
}: {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly scale: Scale;
  readonly ended?: string | undefined;
}) {
  const length = scale.to - scale.from;
  const left = Math.max(0, (from - scale.from) / length);
  const width = Math.max(0, Math.min(1, (to - scale.from) / length) - left);
  if (width === 0) return null;
  const tone = ended === undefined || ended === 'pushed' ? '' : ` ${ended}`;
  return (
    <span
      class={`piece phase ${name}${tone}`}
      title={`${name} ${formatDuration(to - from)}`}
      style={{ left: `${left * 100}%`, width: `${width * 100}%` }}
    />
  );
}

function Steps({
  attempt,
  scale,
  pick,
}: {
  readonly attempt: AttemptRecord;
  readonly scale: Scale;
  readonly pick: (step: string) => void;
}) {
  const steps = [...attempt.steps.values()];
  if (steps.length === 0) return <p class="attempt muted">no step has begun</p>;
  return (
    <ol class="steps">
      {steps.map((step) => (
        <Step key={step.id} step={step} attempt={attempt} scale={scale} pick={pick} />
      ))}
    </ol>
  );
}

function Step({
  step,
  attempt,
  scale,
  pick,
}: {
  readonly step: StepRecord;
  readonly attempt: AttemptRecord;
  readonly scale: Scale;
  readonly pick: (step: string) => void;
}) {
  const { label, text } = parseStepName(step.name);
  const { from, to } = stepSpan(step, attempt, now.value);
  return (
    <li class={`step${label === 'internal' ? ' internal' : ''}`}>
      <button
        type="button"
        class="plain step-name"
        title={step.error ?? step.name}
        onClick={() => pick(step.id)}
      >
        <ToneIcon tone={toneOf(step.status)} />
        <span class="unseen">{step.status}</span>
        {label !== '' && <span class="muted">{label} </span>}
        {text}
      </button>
      <div class="bar thin" aria-hidden="true">
        <Piece
          name={step.id === 'test' || step.id === 'verify' ? step.id : 'build'}
          from={from}
          to={to}
          scale={scale}
          ended={step.status === 'failed' ? 'failed' : undefined}
        />
      </div>
      <span class="number muted">{step.status === 'cached' ? 'cached' : formatDuration(to - from)}</span>
    </li>
  );
}
