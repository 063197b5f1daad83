/**
 * A farm to be broken: real engines, a real registry behind a witness and a fault proxy, and the built commands as
 * processes, each agent on a link of its own. Builds halt at a gate, and each carries a random nonce that its
 * image prints. Timers run ten times faster.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { busyboxBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine, type RunningEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RegistryOptions, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import type { RunningService } from '../../scripts/rig/service.ts';
import { startAgentProcess } from './agent-process.ts';
import { startBuild, type EndedBuild, type RunningBuild } from './build-command.ts';
import { startFarmProcesses, type FarmProcesses } from './farm-processes.ts';
import { startFaultProxy, type Hook } from './fault-proxy.ts';
import { startGate, type Gate } from './gate.ts';
import { startRegistryJournal, type RegistryJournal } from './registry-journal.ts';
import { slowLink, type SlowLink } from './slow-link.ts';
import { stepProcesses } from './step-processes.ts';

const run = promisify(execFile);

export const amd64 = 'linux/amd64';
export const arm64 = 'linux/arm64/v8';

/** What was asked for, as the one who judges knows it. */
export interface Order {
  /** Name of the repository; the tag is `latest`. */
  readonly repository: string;
  /** Printed by the image, and the name of its step at the gate. */
  readonly nonce: string;
  readonly platforms: readonly string[];
  /** The context's directory. */
  readonly path: string;
  /** Known once the command has said it. */
  build?: string;
}

export interface OrderOptions {
  readonly platforms?: readonly string[];
  /** The step waits until `gate.open(order.nonce)`. */
  readonly hold?: boolean;
  /** Random bytes, whose sum a step checks. */
  readonly padding?: number;
  /** After the step at the gate. */
  readonly steps?: readonly string[];
}

export interface LabAgent {
  readonly service: RunningService;
  readonly link: SlowLink;
  readonly engine: RunningEngine;
}

export interface LabOptions {
  /** One engine and one agent each; `a` and `b` if not given. */
  readonly agents?: readonly string[];
  /** Agents by name that share the engine of another. */
  readonly sharing?: Readonly<Record<string, string>>;
  /** Where engines keep their images, by name. */
  readonly engineData?: Readonly<Record<string, string>>;
  /** Platforms of agents by name; those of others depend on `emulated`. */
  readonly platforms?: Readonly<Record<string, string>>;
  /** Agents offer both platforms, not amd64 alone. */
  readonly emulated?: boolean;
  /** What stands before the coordinator; the agents' links lead to it. */
  readonly before?: (coordinator: string) => Promise<AsyncDisposable & { readonly address: string }>;
  readonly registry?: RegistryOptions;
  /** Images are run on an engine that nothing is done to, not on the first agent's. */
  readonly witness?: boolean;
  /** Of all timers; 0.1 if not given. */
  readonly timers?: number;
  readonly coordinatorEnv?: NodeJS.ProcessEnv;
  readonly coordinatorData?: string;
  readonly agentEnv?: NodeJS.ProcessEnv;
}

export interface Lab extends AsyncDisposable {
  readonly farm: FarmProcesses;
  readonly engines: readonly RunningEngine[];
  /** Where images are run to see what they are. */
  readonly witness: RunningEngine | undefined;
  /** Of the coordinator. */
  readonly data: string;
  /** The registry itself, past all that stands before it. */
  readonly registry: RunningRegistry;
  /** `127.0.0.1:PORT` that engines and coordinator know. */
  readonly host: string;
  readonly journal: RegistryJournal;
  readonly gate: Gate;
  readonly dir: string;
  /** Value of the secret that steps of builds with `secret` are given. */
  readonly canary: string;
  readonly orders: readonly Order[];
  agent(name: string): LabAgent;
  /** What stands before the registry; the last one set counts. */
  disturb(hook: Hook): void;
  /** Away with all hooks. */
  calm(): void;
  /** Writes a context. */
  order(repository: string, options?: OrderOptions): Promise<Order>;
  /** Runs `archfarm build` of it. */
  start(order: Order, flags?: readonly string[]): RunningBuild;
  /** Steps of this order that run on any engine now. */
  running(order: Order): Promise<number>;
}

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { agents: names = ['a', 'b'], sharing = {}, timers = 0.1, emulated = false } = options;
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('lab'));
  // Not without need: engines try an emulator several times in every build.
  if (emulated) started.use(await startEmulation());
  const registry = started.use(await startRegistry(options.registry));
  const journal = started.use(await startRegistryJournal(registry.host));
  let hook: Hook = () => false;
  const proxy = started.use(await startFaultProxy(journal.host, (...call) => hook(...call)));
  const gate = started.use(await startGate());
  const engines = new Map<string, RunningEngine>();
  for (const name of names.filter((each) => sharing[each] === undefined)) {
    const data = options.engineData?.[name];
    const engine = await startEngine({ name: `chaos-${name}`, ...(data === undefined ? {} : { data }) });
    engines.set(name, started.use(engine));
  }
  const witness =
    options.witness === true ? started.use(await startEngine({ name: 'witness' })) : [...engines.values()][0];
  const speed = { ARCHFARM_TIMERS: String(timers) };
  const farm = started.use(
    await startFarmProcesses({
      agents: [],
      coordinatorEnv: { ...speed, ...options.coordinatorEnv },
      ...(options.coordinatorData === undefined ? {} : { coordinatorData: options.coordinatorData }),
    }),
  );
  const before = options.before === undefined ? undefined : started.use(await options.before(farm.address));
  const agents = new Map<string, LabAgent>();
  for (const name of names) {
    const engine = engines.get(sharing[name] ?? name);
    if (engine === undefined) throw new Error(`agent ${name} has no engine`);
    const link = started.use(await slowLink(before?.address ?? farm.address));
    const service = await startAgentProcess(farm, {
      name,
      platform: options.platforms?.[name] ?? (emulated ? `${amd64},${arm64}` : amd64),
      engine: engine.host,
      coordinator: link.address,
      env: { ...speed, ARCHFARM_ALLOW: 'network-host', ...options.agentEnv },
    });
    agents.set(name, { service: started.use(service), link, engine });
  }
  const canary = randomBytes(16).toString('hex');
  await writeFile(`${dir}/canary`, canary);
  const base = await busyboxBase();
  const orders: Order[] = [];
  const resources = started.move();

  return {
    farm,
    data: options.coordinatorData ?? `${farm.dir}/coordinator`,
    engines: [...engines.values()],
    witness,
    registry,
    host: proxy.host,
    journal,
    gate,
    dir,
    canary,
    orders,
    agent(name) {
      const agent = agents.get(name);
      if (agent === undefined) throw new Error(`no agent ${name}`);
      return agent;
    },
    disturb: (next) => void (hook = next),
    calm: () => void (hook = () => false),
    async order(repository, { platforms = [amd64], hold = false, padding = 0, steps = [] } = {}) {
      const nonce = randomBytes(8).toString('hex');
      const path = `${dir}/${nonce}`;
      await run('cp', ['-a', base, path]);
      await writeFile(`${path}/nonce`, `${nonce}\n`);
      const bytes = randomBytes(padding);
      if (padding > 0) await writeFile(`${path}/padding`, bytes);
      const sum = createHash('sha256').update(bytes).digest('hex');
      const secret = '--mount=type=secret,id=canary';
      const dockerfile = [
        'FROM scratch',
        'ARG TARGETARCH',
        'COPY ${TARGETARCH}/ /',
        `COPY nonce ${padding > 0 ? 'padding ' : ''}/`,
        // The secret is looked at, so that it was there to be leaked.
        `RUN ${secret} cat /run/secrets/canary | wc -c; ${gate.step(nonce)}`,
        ...(padding > 0 ? [`RUN echo "${sum}  /padding" | busybox sha256sum -c -`] : []),
        ...steps.map((step) => `RUN ${step}`),
        'CMD ["cat", "/nonce"]',
        '',
      ];
      await writeFile(`${path}/Dockerfile`, dockerfile.join('\n'));
      if (hold) gate.close(nonce);
      const order: Order = { repository, nonce, platforms, path };
      orders.push(order);
      return order;
    },
    start(order, flags = []) {
      const target = ['-t', `${proxy.host}/${order.repository}`, '--platform', order.platforms.join(',')];
      const rest = ['--network', 'host', '--allow-emulation', '--secret', `id=canary,src=${dir}/canary`];
      const build = startBuild([order.path, ...target, ...rest, ...flags], farm);
      return noting(build, order);
    },
    async running({ nonce }) {
      const found = [...engines.values()].map((engine) => stepProcesses(engine, nonce));
      return (await Promise.all(found)).flat().length;
    },
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

/** Whichever way the build's id becomes known. */
function noting(build: RunningBuild, order: Order): RunningBuild {
  const note = (id: string | undefined): void => {
    if (id !== undefined) order.build = id;
  };
  return {
    frames: () => build.frames(),
    logged: (...what) => build.logged(...what),
    kill: (signal) => build.kill(signal),
    async id() {
      const id = await build.id();
      note(id);
      return id;
    },
    async ended(): Promise<EndedBuild> {
      const ended = await build.ended();
      note(ended.result.build);
      return ended;
    },
    [Symbol.asyncDispose]: () => build[Symbol.asyncDispose](),
  };
}
