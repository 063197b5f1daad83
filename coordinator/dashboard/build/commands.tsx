/** What to type to go on from a build. */
import type { BuildResult } from '../../../shared/progress.ts';
import { isOpen } from '../builds/history.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { repeatCommand } from './repeat-command.ts';

export function Commands({ result }: { readonly result: BuildResult }) {
  return (
    <section class="panel" aria-labelledby="commands">
      <div class="panel-head">
        <h2 id="commands">Commands</h2>
      </div>
      <ul class="commands">
        {commandsOf(result).map(([what, command]) => (
          <li key={what}>
            <span class="muted">{what}</span>
            <span class="command">
              <code>{command}</code>
              <CopyButton text={command} what={`the command to ${what}`} />
            </span>
            {command.startsWith('archfarm build ') && <Others result={result} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What of a build its command has to leave to the project file, or to whoever types it. */
function Others({ result: { repeat } }: { readonly result: BuildResult }) {
  const others = repeat?.others ?? [];
  if (others.length === 0) return null;
  return <span class="hint muted">It does not say, but needs: {others.join(', ')}.</span>;
}

function commandsOf(result: BuildResult): (readonly [what: string, command: string])[] {
  const { build, status, tags } = result;
  const [tag = ''] = tags;
  const digest = result['containerimage.digest'];
  if (isOpen(status))
    return [
      ['follow it', `archfarm attach ${build}`],
      ['cancel it', `archfarm cancel ${build}`],
    ];
  const repeat = ['build it again, where its files are', repeatCommand(result)] as const;
  if (digest === undefined)
    return [
      repeat,
      ['build what failed again', `archfarm retry ${build}`],
      ['read its log', `archfarm logs ${build}`],
    ];
  return [
    repeat,
    ['pull it', `docker pull ${tag}@${digest}`.replace(/:[^:/@]+@/, '@')],
    ['run it everywhere', `archfarm verify ${tag}`],
    ['see what it holds', `archfarm inspect --verbose ${tag}`],
  ];
}
