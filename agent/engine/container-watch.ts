/** A container of an image that starts as it is: services never end, so it is watched until it shows that it runs. */
import { delay } from '../../shared/abort.ts';
import type { Connection } from './connection.ts';

/** Milliseconds between two looks. */
const lookEvery = 250;

export type Sign =
  /** What it ended with is looked at elsewhere. */
  | { readonly type: 'ended' }
  | { readonly type: 'up' }
  | { readonly type: 'healthy' }
  | { readonly type: 'unhealthy'; readonly reason: string };

export interface Watch {
  readonly name: string;
  /** Milliseconds after which a container without a health check is taken to be well. */
  readonly upAfter: number;
  readonly signal: AbortSignal;
}

/** Where an image has a health check, only that says that it is well. */
export async function watchContainer(
  connection: Connection,
  { name, upAfter, signal }: Watch,
): Promise<Sign> {
  const startedAt = performance.now();
  for (;;) {
    const { State } = await connection.ask(signal, (docker) =>
      docker.getContainer(name).inspect({ abortSignal: signal }),
    );
    if (!State.Running) return { type: 'ended' };
    const health = State.Health;
    if (health === undefined || health.Status === 'none') {
      if (performance.now() - startedAt >= upAfter) return { type: 'up' };
    } else if (health.Status === 'healthy') {
      return { type: 'healthy' };
    } else if (health.Status === 'unhealthy') {
      const { ExitCode: code, Output: output = '' } = health.Log?.at(-1) ?? {};
      const said = output.trim() === '' ? '' : `: ${output.trim().slice(0, 500)}`;
      return { type: 'unhealthy', reason: `its health check ended with ${code ?? 'an error'}${said}` };
    }
    await delay(lookEvery, signal);
  }
}
