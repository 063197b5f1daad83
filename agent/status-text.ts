/** `archfarm-agent status` for people. */
import { formatStoreUsage } from '../shared/context/store-usage.ts';
import { formatSize } from '../shared/size.ts';
import type { AgentStatus } from './status-socket.ts';

export function formatStatus(status: AgentStatus): string {
  const platforms = status.platforms.map(({ platform, native }) =>
    native ? platform : `${platform} (emulated)`,
  );
  const connection = status.connected ? 'connected' : `not connected: ${status.error || 'dialing'}`;
  const lines = [
    `agent        ${status.name} (archfarm-agent ${status.version}, pid ${status.pid})`,
    `coordinator  ${status.coordinator} ${connection}`,
    `state        ${status.state}${status.reason === undefined ? '' : `: ${status.reason}`}`,
    `platforms    ${platforms.join(', ') || 'none'}`,
    `slots        ${status.jobs.length} of ${status.slots} busy`,
    ...status.jobs.map((job) => `             ${job.attempt}  ${job.image}  ${job.seconds} s`),
    ...(status.contexts === undefined ? [] : [`contexts     ${formatStoreUsage(status.contexts)}`]),
    ...(status.reclaimed === undefined ? [] : [`reclaimed    ${formatReclaimed(status.reclaimed)}`]),
    ...(status.unsettled === 0 ? [] : [`unsettled    ${status.unsettled} reports wait for the coordinator`]),
  ];
  return `${lines.join('\n')}\n`;
}

function formatReclaimed({ images, cacheBytes, at }: NonNullable<AgentStatus['reclaimed']>): string {
  const what = `${images} image${images === 1 ? '' : 's'} and ${formatSize(cacheBytes)} of build cache`;
  return `${what} since the agent started, last at ${new Date(at).toISOString()}`;
}
