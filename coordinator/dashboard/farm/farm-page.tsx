/** The farm at a glance: its platforms, its agents, and what waits for them. */
import { formatAge } from '../parts/format.ts';
import { now } from '../parts/clock.ts';
import { buildPath, Link } from '../parts/link.tsx';
import { isNarrow } from '../parts/media.ts';
import { useTitle } from '../parts/title.ts';
import { VirtualRows } from '../parts/virtual-rows.tsx';
import { AgentsTable } from './agents-table.tsx';
import { byPlatform, type PlatformShare } from './by-platform.ts';
import { agents, isKnown, openBuilds, waiting } from './farm.ts';

export function FarmPage() {
  useTitle('Farm');
  if (!isKnown.value) return <p class="blank">Asking the coordinator…</p>;
  return (
    <>
      <h1 class="unseen">Farm</h1>
      <Figures />
      <Platforms />
      <AgentsTable />
      <Queue />
    </>
  );
}

function Figures() {
  const ready = agents.value.filter(({ state }) => state === 'ready').length;
  const slots = agents.value.reduce((sum, agent) => sum + (agent.state === 'ready' ? agent.slots : 0), 0);
  const busy = agents.value.reduce((sum, agent) => sum + agent.busy, 0);
  const figures = [
    ['Agents ready', `${ready}`, `of ${agents.value.length}`],
    ['Slots busy', `${busy}`, `of ${slots}`],
    ['Builds going on', `${openBuilds.value.length}`, ''],
    ['Tasks waiting', `${waiting.value.length}`, ''],
  ] as const;
  return (
    <dl class="figures">
      {figures.map(([name, value, of]) => (
        <div key={name} class="figure">
          <dt>{name}</dt>
          <dd>
            {value} <small>{of}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Platforms() {
  const shares = byPlatform(agents.value, waiting.value);
  if (shares.length === 0) return null;
  return (
    <section aria-labelledby="platforms">
      <h2 id="platforms">Platforms</h2>
      <ul class="platforms">
        {shares.map((share) => (
          <PlatformCard key={share.platform} share={share} />
        ))}
      </ul>
    </section>
  );
}

function PlatformCard({ share }: { readonly share: PlatformShare }) {
  const { platform, native, ready, slots, busy, emulated, waiting: queue } = share;
  const used = slots === 0 ? 0 : Math.min(1, busy / slots);
  return (
    <li class={`platform-card${native === 0 ? ' emulated' : ''}`}>
      <div class="platform-name">{platform}</div>
      <div class="muted">
        {native === 0 ? 'no native agent' : `${ready} of ${native} native ready`}
        {emulated > 0 && `, ${emulated} emulated`}
      </div>
      <div class="load" role="img" aria-label={`${busy} of ${slots} slots busy`}>
        <div class="load-used" style={{ width: `${used * 100}%` }} />
      </div>
      <div class="card-foot">
        <span>
          {busy}/{slots} slots
        </span>
        <span class={queue > 0 ? 'waiting' : 'muted'}>{queue > 0 ? `${queue} waiting` : 'none waiting'}</span>
      </div>
    </li>
  );
}

const queueColumns = [
  { name: 'Build', class: 'queue-build' },
  { name: 'Platform', class: 'queue-platform' },
  { name: 'Why it waits', class: 'queue-why' },
  { name: 'Client', class: 'queue-client' },
  { name: 'Waits', class: 'queue-time' },
];

function Queue() {
  const tasks = waiting.value;
  return (
    <section aria-labelledby="queue">
      <h2 id="queue">
        Queue <span class="tally">{tasks.length}</span>
      </h2>
      <VirtualRows
        class="queue"
        label="Tasks that wait for an agent"
        columns={queueColumns}
        items={tasks}
        rowHeight={isNarrow.value ? 84 : 38}
        keyOf={({ build, task }) => `${build.build}/${task.platform}`}
        empty="Nothing waits."
        row={({ build, task }) => [
          <Link to={buildPath(build.build)}>
            {build.name}
            {build.priority !== 0 && <span class="tag">priority {build.priority}</span>}
          </Link>,
          <code>{task.platform}</code>,
          <span title={task.reason}>{task.reason}</span>,
          <span class="muted">{build.client}</span>,
          <span class="number">
            {task.queuedAt === undefined ? '' : formatAge(now.value - task.queuedAt)}
          </span>,
        ]}
      />
    </section>
  );
}
