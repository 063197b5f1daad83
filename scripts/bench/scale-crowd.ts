/** Many agents at once, as several of the measurements need them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ScaleAgent, type AgentOptions } from './scale-agent.ts';

const platforms = ['linux/amd64', 'linux/arm64/v8'] as const;

/** All are connected when this resolves. The first half is amd64 where there are two platforms. */
export async function startCrowd(
  count: number,
  {
    kinds = 1,
    prefix = 'agent',
    ...options
  }: Omit<AgentOptions, 'name' | 'platform'> & { readonly kinds?: number; readonly prefix?: string },
): Promise<{ readonly agents: readonly ScaleAgent[] } & Disposable> {
  const agents: ScaleAgent[] = [];
  for (let n = 0; n < count; n++) {
    const platform = platforms[n % kinds] ?? 'linux/amd64';
    agents.push(new ScaleAgent({ ...options, platform, name: `${prefix}-${String(n).padStart(5, '0')}` }));
    // A listen queue is not endless.
    if (n % 100 === 99) await sleep(20);
  }
  await eventually(
    () => agents.every(({ connected }) => connected),
    120_000,
    `${count} agents are connected`,
  );
  return {
    agents,
    [Symbol.dispose]() {
      for (const agent of agents) agent.close();
    },
  };
}

export async function eventually(
  condition: () => boolean | Promise<boolean>,
  patience: number,
  what: string,
): Promise<void> {
  for (const deadline = performance.now() + patience; !(await condition()); await sleep(20)) {
    if (performance.now() > deadline) throw new Error(`not within ${patience} ms: ${what}`);
  }
}
