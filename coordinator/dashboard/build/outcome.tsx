/** What there is to know first: why it failed, what it waits for, and what went wrong on the way. */
import type { ErrorInfo } from '../../../shared/errors.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { openBuild } from '../farm/farm.ts';
import type { BuildSource } from './build-source.ts';

export function Outcome({ source, result }: { readonly source: BuildSource; readonly result: BuildResult }) {
  void source.version.value;
  const waits = (openBuild(result.build)?.platforms ?? []).filter(({ reason }) => reason !== undefined);
  const noLog = source.noLog.value;
  return (
    <>
      {result.error !== undefined && <Trouble error={result.error} />}
      {result.platforms.map(({ platform, error, optional }) =>
        error === undefined || error.message === result.error?.message ? null : (
          <Trouble key={platform} error={error} of={optional ? `${platform} (optional)` : platform} />
        ),
      )}
      {waits.map(({ platform, reason }) => (
        <div key={platform} class="notice waiting">
          <p>
            <b>{platform}</b> waits: {reason}
          </p>
        </div>
      ))}
      {noLog !== undefined && <Trouble error={noLog} />}
    </>
  );
}

function Trouble({
  error,
  of,
}: {
  readonly error: Pick<ErrorInfo, 'message' | 'hint'> & { readonly code: string };
  readonly of?: string;
}) {
  return (
    <div class="notice bad">
      <p class="said">
        {of !== undefined && <b>{of}: </b>}
        {error.message}
      </p>
      {error.hint !== undefined && <p class="hint">{error.hint}</p>}
      <code class="code">{error.code}</code>
    </div>
  );
}
