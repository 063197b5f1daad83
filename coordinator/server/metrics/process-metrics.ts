/** The coordinator's own process, under the names that every Prometheus client gives these. */
import { readdirSync } from 'node:fs';
import { Histogram, type Registry } from 'prom-client';
import { watchEventLoop } from '../../../shared/event-loop-lag.ts';
import { PROTOCOL_VERSION } from '../../../shared/messages.ts';
import { version } from '../../../shared/version.ts';
import { counter, gauge } from './looked-up.ts';

/** Milliseconds between looks at how late the event loop is. */
const interval = 250;

/** Disposed of, it no longer looks at the event loop. */
export function addProcessMetrics(registry: Registry): Disposable {
  gauge(
    registry,
    {
      name: 'archfarm_build_info',
      help: 'Release and protocol of the coordinator; always 1.',
      labelNames: ['version', 'protocol'],
    },
    (tell) => tell({ version, protocol: PROTOCOL_VERSION }, 1),
  );
  counter(
    registry,
    { name: 'process_cpu_seconds_total', help: 'Processor time of the coordinator.' },
    (tell) => {
      const { user, system } = process.cpuUsage();
      tell({}, (user + system) / 1e6);
    },
  );
  gauge(registry, { name: 'process_resident_memory_bytes', help: 'Memory of the coordinator.' }, (tell) =>
    tell({}, process.memoryUsage.rss()),
  );
  gauge(
    registry,
    { name: 'process_open_fds', help: 'Files and connections that the coordinator has open.' },
    (tell) => tell({}, readdirSync('/proc/self/fd').length),
  );
  gauge(
    registry,
    { name: 'process_start_time_seconds', help: 'When the coordinator started, since 1970.' },
    (tell) => tell({}, performance.timeOrigin / 1000),
  );

  const lag = new Histogram({
    name: 'archfarm_event_loop_lag_seconds',
    help: 'How much later than due a timer of the coordinator ran, looked at four times a second.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });
  return watchEventLoop(interval, (late) => lag.observe(late / 1000));
}
