/** The output of a build, platform by platform: coloured, searched, and followed to its end. */
import { type Signal, useSignal } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { now } from '../parts/clock.ts';
import { count, formatTime } from '../parts/format.ts';
import { SearchField } from '../parts/search-field.tsx';
import type { BuildSource } from './build-source.ts';
import { drawLine, type Piece } from './drawn-line.ts';
import { LogSearch, type LogLine, type LogLines } from './log-lines.ts';

export interface LogPanelProps {
  readonly source: BuildSource;
  /** Whose log; empty for the first one's. */
  readonly platform: Signal<string>;
  /** Only lines of this step; empty for all. */
  readonly step: Signal<string>;
}

/** In place of a platform: what is said of the build as such. */
export const wholeBuild = 'build';

/** Pixels. */
const lineHeight = 19;
/** Lines above and below those in sight. */
const margin = 20;

export function LogPanel({ source, platform, step }: LogPanelProps) {
  void source.version.value;
  const { record } = source;
  const names = (source.result.value?.platforms ?? []).map((each) => each.platform);
  if (record.log.lines.length > 0) names.push(wholeBuild);
  const shown = names.includes(platform.value) ? platform.value : (names[0] ?? '');
  const log = shown === wholeBuild ? record.log : record.platforms.get(shown)?.log;
  const stepName = [...(record.platforms.get(shown)?.attempts ?? [])]
    .flatMap((attempt) => attempt.steps.get(step.value) ?? [])
    .at(-1)?.name;
  return (
    <section class="panel log-panel" id="log" aria-labelledby="log-title">
      <div class="panel-head">
        <h2 id="log-title">Log</h2>
        <div class="tabs" role="tablist" aria-label="Platforms" onKeyDown={turnTabs}>
          {names.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={tabId(name)}
              aria-selected={name === shown}
              aria-controls="log-lines"
              tabIndex={name === shown ? 0 : -1}
              onClick={() => {
                platform.value = name;
                step.value = '';
              }}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      {stepName !== undefined && (
        <p class="only">
          Only <b>{stepName}</b>{' '}
          <button type="button" class="plain" onClick={() => (step.value = '')}>
            Show all
          </button>
        </p>
      )}
      {log === undefined ? (
        <p class="blank">
          {source.state.value === 'refused' ? 'There is no log.' : 'Nothing has been said yet.'}
        </p>
      ) : (
        <Lines
          key={`${shown} ${step.value}`}
          log={log}
          step={stepName === undefined ? '' : step.value}
          version={source.version.value}
          platform={shown}
          build={source.result.value?.build ?? source.id}
        />
      )}
      <p class="unseen" role="status">
        {shown} {record.platforms.get(shown)?.status}
      </p>
    </section>
  );
}

function tabId(platform: string): string {
  return `tab-${platform.replaceAll(/[^a-z0-9]/g, '-')}`;
}

function turnTabs(event: KeyboardEvent): void {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined || !(event.currentTarget instanceof HTMLElement)) return;
  event.preventDefault();
  const tabs = [...event.currentTarget.querySelectorAll<HTMLElement>('[role=tab]')];
  const at = tabs.findIndex((tab) => tab.ariaSelected === 'true');
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next?.click();
  next?.focus();
}

interface LinesProps {
  readonly log: LogLines;
  readonly step: string;
  /** A change of it means that lines have come. */
  readonly version: number;
  readonly platform: string;
  readonly build: string;
}

function Lines({ log, step, version, platform, build }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  /** A match that nobody was shown yet: its line may have to be drawn first. */
  const sought = useRef(false);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const follows = useSignal(true);
  const text = useSignal('');
  /** Which of the matches is shown. */
  const at = useSignal(0);
  const search = useMemo(() => new LogSearch(), []);

  const lines = step === '' ? log.lines : log.lines.filter((line) => line.step === step);
  const found = search.update(text.value, { lines, dropped: log.dropped });
  const current = found.length === 0 ? -1 : (found[at.value % found.length] ?? -1);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current;
    if (follows.value && element !== null) element.scrollTop = element.scrollHeight;
  }, [version, follows.value, lines.length]);
  useLayoutEffect(() => {
    const match = sought.current ? box.current?.querySelector('.line.current :is(mark, .line-rest b)') : null;
    if (match == null) return;
    sought.current = false;
    match.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });

  const show = (index: number): void => {
    const element = box.current;
    if (element === null || index < 0) return;
    follows.value = false;
    sought.current = true;
    element.scrollTop = Math.max(0, index * lineHeight - element.clientHeight / 2);
  };
  const turn = (by: number): void => {
    if (found.length === 0) return;
    at.value = (at.value + by + found.length) % found.length;
    show(found[at.value] ?? -1);
  };
  const scrolled = (): void => {
    const element = box.current;
    if (element === null) return;
    setTop(element.scrollTop);
    // Whoever scrolls back to the end wants to see what comes.
    follows.value = element.scrollTop + element.clientHeight >= element.scrollHeight - 2;
  };

  const first = Math.max(0, Math.floor(top / lineHeight) - margin);
  const last = Math.min(lines.length, Math.ceil((top + height) / lineHeight) + margin);
  return (
    <>
      <div class="log-tools" role="search">
        <SearchField
          label="Search the log"
          placeholder="Search the log"
          value={text.value}
          search={(value) => {
            text.value = value;
            at.value = 0;
            show(search.update(value, { lines, dropped: log.dropped })[0] ?? -1);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter') turn(event.shiftKey ? -1 : 1);
          }}
        />
        <span class="muted number" role="status">
          {text.value === ''
            ? count(lines.length, 'line')
            : found.length === 0
              ? 'nothing found'
              : `${(at.value % found.length) + 1} of ${found.length}`}
        </span>
        <button
          type="button"
          class="plain"
          disabled={found.length === 0}
          aria-label="Previous match"
          onClick={() => turn(-1)}
        >
          ↑
        </button>
        <button
          type="button"
          class="plain"
          disabled={found.length === 0}
          aria-label="Next match"
          onClick={() => turn(1)}
        >
          ↓
        </button>
        <span class="spring" />
        <label class="check">
          <input
            type="checkbox"
            checked={follows.value}
            onChange={({ currentTarget: { checked } }) => {
              follows.value = checked;
            }}
          />
          Follow
        </label>
      </div>
      {log.dropped > 0 && (
        <p class="only">{count(log.dropped, 'earlier line')} left out here: archfarm logs has all of them.</p>
      )}
      <div
        class="log-lines"
        id="log-lines"
        role="tabpanel"
        aria-label={`Log of ${platform}`}
        tabIndex={0}
        ref={box}
        onScroll={scrolled}
      >
        <div class="log-space" style={{ height: `${lines.length * lineHeight}px` }}>
          <div class="log-window" style={{ transform: `translateY(${first * lineHeight}px)` }}>
            {lines.slice(first, last).map((line, index) => (
              <Line
                key={first + index}
                line={line}
                wanted={text.value}
                isCurrent={first + index === current}
                build={build}
              />
            ))}
          </div>
        </div>
      </div>
    </>
  );
}

interface LineProps {
  readonly line: LogLine;
  readonly wanted: string;
  readonly isCurrent: boolean;
  readonly build: string;
}

function Line({ line, wanted, isCurrent, build }: LineProps) {
  const { pieces, rest, isFurther } = useMemo(() => drawLine(line.text, wanted), [line, wanted]);
  return (
    <div class={`line is-${line.kind}${isCurrent ? ' current' : ''}`}>
      <span class="line-time">{formatTime(line.time, now.peek())}</span>
      <span class="line-text">
        {pieces.map((piece, index) => (
          <Coloured key={index} piece={piece} />
        ))}
      </span>
      {rest > 0 && (
        <span class="line-rest">
          … {count(rest, 'more character')}
          {isFurther && (
            <>
              , <b>a match among them</b>
            </>
          )}
          : archfarm logs {build} has them
        </span>
      )}
    </div>
  );
}

function Coloured({ piece: { text, classes, colour, background, isMarked } }: { readonly piece: Piece }) {
  const shown = isMarked ? <mark>{text}</mark> : <>{text}</>;
  if (classes.length === 0 && colour === undefined && background === undefined) return shown;
  return (
    <span
      class={classes.join(' ')}
      style={{
        ...(colour === undefined ? {} : { color: colour }),
        ...(background === undefined ? {} : { backgroundColor: background }),
      }}
    >
      {shown}
    </span>
  );
}
