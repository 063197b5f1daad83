/** All builds, the newest first. */
import { computed } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { formatDuration } from '../../../shared/duration.ts';
import { buildStatuses } from '../../../shared/progress.ts';
import { now } from '../parts/clock.ts';
import { formatTime, shortDigest } from '../parts/format.ts';
import { buildPath, Link } from '../parts/link.tsx';
import { isNarrow } from '../parts/media.ts';
import { query, setQuery } from '../parts/router.ts';
import { SearchField } from '../parts/search-field.tsx';
import { Status, toneOf } from '../parts/status.tsx';
import { useTitle } from '../parts/title.ts';
import { VirtualRows } from '../parts/virtual-rows.tsx';
import { historyOf } from './history.ts';
import type { ListedBuild } from './listed-builds.ts';

const columns = [
  { name: 'Status', class: 'build-status' },
  { name: 'Build', class: 'build-name' },
  { name: 'Image', class: 'build-image' },
  { name: 'Platforms', class: 'build-platforms' },
  { name: 'Client', class: 'build-client' },
  { name: 'Began', class: 'build-began' },
  { name: 'Took', class: 'build-took' },
];

const wantedStatus = computed(() => buildStatuses.find((status) => status === query.value.get('status')));
const wantedText = computed(() => query.value.get('text') ?? '');
const list = historyOf(computed(() => ({ status: wantedStatus.value, text: wantedText.value })));

export function BuildsPage() {
  useTitle('Builds');
  const history = list.value;
  useEffect(() => void history.more(), [history]);
  const builds = history.builds.value;
  const error = history.error.value;
  return (
    <section class="filling" aria-labelledby="builds">
      <div class="section-head">
        <h1 id="builds">Builds</h1>
        <Filters />
      </div>
      {error !== undefined && (
        <div class="notice bad" role="alert">
          <p>{error.message}</p>
          <button type="button" class="plain" onClick={() => void history.more()}>
            Try again
          </button>
        </div>
      )}
      <VirtualRows
        class="builds"
        label="Builds"
        columns={columns}
        items={builds}
        rowHeight={isNarrow.value ? 104 : 40}
        keyOf={({ build }) => build}
        nearEnd={() => void history.more()}
        total={history.atEnd.value ? builds.length : -2}
        empty={history.atEnd.value ? <Nothing /> : 'Asking the coordinator…'}
        row={(build) => [
          <Status state={build.status} />,
          <Name build={build} />,
          <span class="ellipsis" title={build.tags.join('\n')}>
            {build.tags[0]}
            {build.tags.length > 1 && <span class="tag">+{build.tags.length - 1}</span>}
            {build.digest !== undefined && <small class="muted mono"> {shortDigest(build.digest)}</small>}
          </span>,
          <Platforms build={build} />,
          <span class="muted ellipsis">{build.client}</span>,
          <span class="number">{formatTime(build.created, now.value)}</span>,
          <span class="number">{formatDuration(build.took ?? Math.max(0, now.value - build.created))}</span>,
        ]}
      />
    </section>
  );
}

function Name({ build: { build, name, error } }: { readonly build: ListedBuild }) {
  return (
    <span class="ellipsis" title={error}>
      <Link to={buildPath(build)}>{name}</Link> <small class="muted mono">{build}</small>
    </span>
  );
}

function Platforms({ build: { platforms } }: { readonly build: ListedBuild }) {
  return (
    <span class="chips">
      {platforms.map(({ platform, status }) => (
        <span key={platform} class={`chip tone ${toneOf(status)}`} title={`${platform}: ${status}`}>
          {platform.replace(/^linux\//, '')}
          <span class="unseen"> {status}</span>
        </span>
      ))}
    </span>
  );
}

function Nothing() {
  return wantedStatus.value === undefined && wantedText.value === '' ? (
    <>
      Nothing has been built here yet: <code>archfarm build</code> begins.
    </>
  ) : (
    <>No build is like that.</>
  );
}

/** Milliseconds without a key before a search begins. */
const pause = 250;
let typing: ReturnType<typeof setTimeout> | undefined;

function Filters() {
  return (
    <div class="filters" role="search">
      <SearchField
        label="Search builds by name, tag, client, digest or id"
        placeholder="Search: name, tag, client, digest, id"
        value={wantedText.value}
        search={(text) => {
          clearTimeout(typing);
          typing = setTimeout(() => setQuery({ text: text.trim() }), pause);
        }}
      />
      <select
        aria-label="Status"
        value={wantedStatus.value ?? ''}
        onChange={({ currentTarget: { value } }) => setQuery({ status: value })}
      >
        <option value="">every status</option>
        {buildStatuses.map((status) => (
          <option key={status} value={status}>
            {status}
          </option>
        ))}
      </select>
    </div>
  );
}
