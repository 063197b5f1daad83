/** What one coordinator holds out: each part measures one thing, prints it, and ends with a line of JSON a figure. */
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { measureBuilds } from './scale-builds.ts';
import { measureFailover } from './scale-failover.ts';
import { measureFlood } from './scale-flood.ts';
import { measureHistory } from './scale-history.ts';
import { measureIdle } from './scale-idle.ts';
import { measureOverload } from './scale-overload.ts';
import { measureStorm } from './scale-storm.ts';

const help = `scripts/bench/scale [PART…] [FLAGS]; all parts where none is named

  idle       --agents 5000 --seconds 60     agents that only beat
  storm      --agents 5000                  all of them again after a kill of the coordinator
  builds     --builds 10000 --workers 100   builds of a fake engine, --platforms 1 each
  overload   --max-queued 100               ten times as many builds as may wait
  failover   --failures 20                  agents that fail in three ways, at real timers
  flood      --seconds 60 --rate 100        MB/s of logs in 20 builds
  history    --history 100000               builds that have ended`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    agents: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '60' },
    builds: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '100' },
    platforms: { type: 'string', default: '1' },
    'max-queued': { type: 'string', default: '100' },
    failures: { type: 'string', default: '20' },
    rate: { type: 'string', default: '100' },
    history: { type: 'string', default: '100000' },
    help: { type: 'boolean', default: false },
  },
});
const [agents, seconds, builds] = [Number(values.agents), Number(values.seconds), Number(values.builds)];
const [workers, platforms, rate] = [Number(values.workers), Number(values.platforms), Number(values.rate)];

const parts: Readonly<Record<string, () => Promise<object>>> = {
  idle: () => measureIdle({ agents, seconds }),
  storm: () => measureStorm({ agents }),
  builds: () => measureBuilds({ builds, workers, platforms }),
  overload: () => measureOverload({ maxQueued: Number(values['max-queued']) }),
  failover: () => measureFailover({ failures: Number(values.failures) }),
  flood: () => measureFlood({ seconds, rate }),
  history: () => measureHistory({ count: Number(values.history) }),
};

const asked = positionals.length > 0 ? positionals : Object.keys(parts);
const unknown = asked.filter((name) => parts[name] === undefined);
if (values.help || unknown.length > 0) {
  console.log(unknown.length > 0 ? `no part ${unknown.join(', ')}\n\n${help}` : help);
  process.exit(values.help ? 0 : 2);
}
for (const name of asked) {
  const load = loadavg()[0] ?? 0;
  const figures = (await parts[name]?.()) ?? {};
  for (const [figure, value] of Object.entries(figures))
    console.log(`${name}: ${figure} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  // What else the machine did before it tells how far to believe the rest.
  const machine = { cores: availableParallelism(), loadBefore: Number(load.toFixed(2)) };
  console.log(JSON.stringify({ bench: 'scale', part: name, ...machine, ...figures }));
}
