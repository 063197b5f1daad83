/** The agents, one a row: what they offer, what they do, and how they are. */
import { computed, signal } from '@preact/signals';
import { formatSize } from '../../../shared/size.ts';
import { parseAttempt } from '../../../shared/attempt.ts';
import type { AgentView } from '../../farm/agent-state.ts';
import { postJson } from '../api/request.ts';
import { mayAdminister } from '../api/rights.ts';
import { Clipped } from '../parts/clipped.tsx';
import { now } from '../parts/clock.ts';
import { OrderButton } from '../parts/confirm.tsx';
import { formatAge } from '../parts/format.ts';
import { buildPath, Link } from '../parts/link.tsx';
import { isNarrow } from '../parts/media.ts';
import { SearchField } from '../parts/search-field.tsx';
import { Status } from '../parts/status.tsx';
import { VirtualRows } from '../parts/virtual-rows.tsx';
import { agents, openBuild } from './farm.ts';

const filter = signal('');

const shown = computed(() => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = agents.value.toSorted((a, b) => groupOf(a).localeCompare(groupOf(b)));
  return words.length === 0
    ? all
    : all.filter((agent) => words.every((word) => textOf(agent).includes(word)));
});

/** Agents of one platform stand together, those that only emulate at the end. */
function groupOf({ platforms }: AgentView): string {
  const native = platforms.filter((offer) => offer.native).map(({ platform }) => platform);
  return native.length > 0 ? `0 ${native.join()}` : '1';
}

function textOf(agent: AgentView): string {
  return [agent.name, agent.state, agent.reason ?? '', ...platformsOf(agent), ...labelsOf(agent)]
    .join(' ')
    .toLowerCase();
}

function labelsOf({ labels }: AgentView): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`);
}

function platformsOf({ platforms }: AgentView): string[] {
  return platforms.map(({ platform, native }) => (native ? platform : `${platform} emulated`));
}

const columns = [
  { name: 'Agent', class: 'agent-name' },
  { name: 'State', class: 'agent-state' },
  { name: 'Platforms', class: 'agent-platforms' },
  { name: 'Slots', class: 'agent-slots' },
  { name: 'Busy with', class: 'agent-work' },
  { name: 'Engine', class: 'agent-engine' },
  { name: 'Disk free', class: 'agent-disk' },
  { name: 'Orders', class: 'agent-orders' },
];

export function AgentsTable() {
  const all = agents.value.length;
  return (
    <section aria-labelledby="agents">
      <div class="section-head">
        <h2 id="agents">
          Agents <span class="tally">{all}</span>
        </h2>
        <SearchField
          label="Filter agents by name, state, platform or label"
          placeholder="Filter: name, state, platform, label"
          value={filter.value}
          search={(text) => {
            filter.value = text;
          }}
        />
      </div>
      <VirtualRows
        class="agents"
        label="Agents"
        columns={columns}
        items={shown.value}
        rowHeight={isNarrow.value ? 148 : 52}
        keyOf={({ name }) => name}
        empty={
          all === 0
            ? 'No agent is connected: start archfarm-agent run on a build host.'
            : 'No agent is like that.'
        }
        row={(agent) => [
          <Name agent={agent} />,
          <State agent={agent} />,
          <Platforms agent={agent} />,
          <Slots agent={agent} />,
          <Work agent={agent} />,
          <Engine agent={agent} />,
          <Disk agent={agent} />,
          <Orders agent={agent} />,
        ]}
      />
    </section>
  );
}

function Name({ agent }: { readonly agent: AgentView }) {
  const labels = labelsOf(agent);
  return (
    <span class="two-lines">
      <strong>{agent.name}</strong>
      {labels.length > 0 && (
        <Clipped class="labels" texts={labels}>
          {labels.map((label) => (
            <span key={label} class="tag">
              {label}
            </span>
          ))}
        </Clipped>
      )}
    </span>
  );
}

function State({ agent }: { readonly agent: AgentView }) {
  const why = whyOf(agent, now.value);
  return (
    <span class="two-lines" title={why}>
      <Status state={agent.state} />
      <small class="muted">{why}</small>
    </span>
  );
}

/** What is told of a time is counted on here. */
function whyOf({ state, reason, since = 0 }: AgentView, at: number): string | undefined {
  if (state === 'offline') return `disconnected ${formatAge(at - since)} ago`;
  if (state === 'suspect') return `nothing heard for ${formatAge(at - since)}`;
  return reason;
}

function Platforms({ agent }: { readonly agent: AgentView }) {
  return (
    <Clipped class="chips" texts={platformsOf(agent)}>
      {agent.platforms.map(({ platform, native }) => (
        <span key={platform} class={`chip${native ? '' : ' emulated'}`}>
          {platform}
          {!native && <small> emulated</small>}
        </span>
      ))}
    </Clipped>
  );
}

/** More are told by figures alone. */
const drawnSlots = 12;

function Slots({ agent: { slots, busy } }: { readonly agent: AgentView }) {
  return (
    <span class="slots">
      <span class="number">
        {busy}/{slots}
      </span>
      <span class="slot-marks" aria-hidden="true">
        {slots <= drawnSlots &&
          Array.from({ length: slots }, (_, index) => (
            <span key={index} class={index < busy ? 'slot busy' : 'slot'} />
          ))}
      </span>
    </span>
  );
}

function Work({ agent: { attempts } }: { readonly agent: AgentView }) {
  const work = attempts.map(parseAttempt).filter((attempt) => attempt !== undefined);
  const [first, ...rest] = work;
  if (first === undefined) return <span class="muted">–</span>;
  return (
    <span class="two-lines">
      {[first, ...rest.slice(0, 1)].map(({ build, platform, number }) => (
        <span key={`${build}${platform}${number}`}>
          <Link to={buildPath(build)}>{openBuild(build)?.name ?? build}</Link>{' '}
          <small class="muted">
            {platform}
            {number > 1 && `, attempt ${number}`}
          </small>
        </span>
      ))}
      {rest.length > 1 && <small class="muted">and {rest.length - 1} more</small>}
    </span>
  );
}

function Engine({ agent: { engine, version } }: { readonly agent: AgentView }) {
  return (
    <span class="two-lines">
      {/* What a distribution adds to the number is for who asks. */}
      <span title={engine?.version}>
        {engine === undefined ? '–' : `Docker ${engine.version.replace(/\+.*$/, '')}`}
      </span>
      <small class="muted">agent {version}</small>
    </span>
  );
}

function Disk({ agent: { disks = [] } }: { readonly agent: AgentView }) {
  const [least] = disks.toSorted((a, b) => a.free / a.size - b.free / b.size);
  if (least === undefined) return <span class="muted">–</span>;
  const share = least.free / least.size;
  return (
    <span
      class="two-lines"
      title={disks
        .map(({ path, free, size }) => `${path}: ${formatSize(free)} of ${formatSize(size)} free`)
        .join('\n')}
    >
      <span>{formatSize(least.free)}</span>
      <small class={share < 0.1 ? 'low' : 'muted'}>
        {Math.floor(share * 100)} % of {formatSize(least.size)}
      </small>
    </span>
  );
}

function Orders({ agent: { name, state, reason } }: { readonly agent: AgentView }) {
  if (!mayAdminister.value) return null;
  const path = `/v1/agents/${encodeURIComponent(name)}`;
  // An agent that stops by itself is not to be resumed.
  const isHeld = state === 'cordoned' || (state === 'draining' && reason?.startsWith('drained by') === true);
  if (isHeld)
    return <OrderButton name="Resume" label={`Resume ${name}`} order={() => postJson(`${path}/resume`)} />;
  if (state !== 'ready' && state !== 'suspect') return null;
  return (
    <OrderButton
      name="Drain"
      label={`Drain ${name}`}
      question={`Give ${name} no new work? What it has, it finishes; it stays drained until somebody resumes it.`}
      order={() => postJson(`${path}/drain`)}
    />
  );
}
