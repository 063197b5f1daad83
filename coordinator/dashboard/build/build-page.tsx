/** One build: how far it is on every platform, what it says, and what came out. */
import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { formatSize } from '../../../shared/size.ts';
import { formatDuration } from '../../../shared/duration.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { mayChange } from '../api/rights.ts';
import { postJson } from '../api/request.ts';
import { isOpen } from '../builds/history.ts';
import { now } from '../parts/clock.ts';
import { OrderButton } from '../parts/confirm.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { count, formatTime } from '../parts/format.ts';
import { buildPath, Link } from '../parts/link.tsx';
import { go } from '../parts/router.ts';
import { Status } from '../parts/status.tsx';
import { useTitle } from '../parts/title.ts';
import { BuildSource } from './build-source.ts';
import { Commands } from './commands.tsx';
import { LogPanel } from './log-panel.tsx';
import { Outcome } from './outcome.tsx';
import { Published } from './published.tsx';
import { Timeline } from './timeline.tsx';

export function BuildPage({ id }: { readonly id: string }) {
  const source = useMemo(() => new BuildSource(id), [id]);
  /** What of the log is shown. */
  const shown = useMemo(() => ({ platform: signal(''), step: signal('') }), [id]);
  useEffect(() => {
    void source.run();
    return () => source.close();
  }, [source]);
  const result = source.result.value;
  const error = source.error.value;
  useTitle(titleOf(source));
  if (error !== undefined) {
    return (
      <div class="notice bad" role="alert">
        <h1>{error.message}</h1>
        {error.hint !== undefined && <p class="hint">{error.hint}</p>}
        <p>
          <Link to="/builds">All builds</Link>
        </p>
      </div>
    );
  }
  if (result === undefined) return <p class="blank">Asking the coordinator…</p>;
  return (
    <article class="build" aria-labelledby="build">
      <Head source={source} result={result} />
      <Outcome source={source} result={result} />
      <div class="build-grid">
        <div class="build-main">
          <Timeline
            source={source}
            result={result}
            pick={(platform, step) => {
              shown.platform.value = platform;
              shown.step.value = step;
              document.getElementById('log')?.scrollIntoView({ block: 'nearest' });
            }}
          />
          <LogPanel source={source} platform={shown.platform} step={shown.step} />
        </div>
        <aside class="build-side" aria-label="What came out">
          <Published result={result} />
          <Commands result={result} />
        </aside>
      </div>
    </article>
  );
}

function titleOf(source: BuildSource): string {
  const result = source.result.value;
  if (result === undefined) return source.id;
  return `${shownStatus(source, result)}: ${result.name} ${result.build}`;
}

function Head({ source, result }: { readonly source: BuildSource; readonly result: BuildResult }) {
  const status = shownStatus(source, result);
  const going = isOpen(status);
  const { build, name, client, created, context, origin } = result;
  const took = going ? Math.max(0, now.value - created) : result.timings.total;
  return (
    <header class="build-head">
      <div class="build-title">
        <h1 id="build">{name}</h1>
        <Status state={status} pill />
        <span class="mono muted">
          {build}
          <CopyButton text={build} what="the id of the build" />
        </span>
        <span class="spring" />
        {mayChange(client) && <Orders build={build} name={name} going={going} status={status} />}
      </div>
      <ul class="facts">
        <li>
          by <b>{client ?? 'somebody'}</b>
        </li>
        <li>
          began <time dateTime={new Date(created).toISOString()}>{formatTime(created, now.value)}</time>
        </li>
        <li>
          {going ? 'for' : 'took'} <b class="number">{formatDuration(took)}</b>
        </li>
        <li>
          context of {count(context.files, 'file')}, {formatSize(context.bytes)},{' '}
          {formatSize(context.sentBytes)} sent
        </li>
        {origin !== undefined && (
          <li>
            {origin.type === 'retry' ? 'retries ' : 'amends '}
            <Link to={buildPath(origin.build)}>{origin.build}</Link>
          </li>
        )}
      </ul>
    </header>
  );
}

/** The events are ahead of what was asked for at first. */
function shownStatus({ version, record }: BuildSource, { status }: BuildResult): BuildResult['status'] {
  void version.value;
  return record.seq > 0 && isOpen(status) ? record.status : status;
}

function Orders({
  build,
  name,
  going,
  status,
}: {
  readonly build: string;
  readonly name: string;
  readonly going: boolean;
  readonly status: BuildResult['status'];
}) {
  const path = `/v1/builds/${build}`;
  if (going) {
    return (
      <OrderButton
        name="Cancel"
        label={`Cancel ${name}`}
        kind="danger"
        question={`Cancel the build of ${name}? Its agents stop; nothing is published.`}
        order={() => postJson(`${path}/cancel`)}
      />
    );
  }
  if (status !== 'failed' && status !== 'cancelled') return null;
  return (
    <OrderButton
      name="Retry"
      label={`Retry ${name}`}
      kind="primary"
      question={`Build again what failed of ${name}, and publish all of it? The page has neither the context nor the values of secrets: what the coordinator lacks only archfarm retry ${build} can give.`}
      order={async () => {
        const started = await postJson<{ build: string }>(`${path}/retry`, {});
        if (started !== undefined) go(buildPath(started.build));
      }}
    />
  );
}
