/**
 * Where build steps come to a halt: a step asks for its page, and gets it when the test says so. Shows how often
 * and in which order steps ran, whatever the product says of them. Steps need the host's network.
 */
import { httpServer } from './http-server.ts';
import { until } from './until.ts';

export interface Gate extends AsyncDisposable {
  /** The command of a step, which ends when the gate lets it pass; the shell knows TARGETARCH. */
  step(name: string): string;
  /** Steps of this name wait from now on. */
  close(name: string): void;
  /** Lets pass those that wait, and all later ones. */
  open(name: string): void;
  /** How many times a step of this name came, on one architecture or on all. */
  runs(name: string, architecture?: string): number;
  /** Waits until a step has come so many times. */
  arrived(name: string, architecture?: string, times?: number): Promise<void>;
}

/** Enough for steps under emulation on a busy machine. */
const patience = 90_000;

export async function startGate(): Promise<Gate> {
  const closed = new Map<string, (() => void)[]>();
  const came: string[] = [];
  const server = await httpServer(async (request, response) => {
    const [name = '', architecture = ''] = (request.url ?? '').slice(1).split('/');
    came.push(`${name}/${architecture}`);
    const waiting = closed.get(name);
    if (waiting !== undefined) await new Promise<void>((resolve) => waiting.push(resolve));
    response.end(`passed ${name} ${architecture}\n`);
  });
  const runs = (name: string, architecture?: string): number =>
    came.filter(
      (step) =>
        step.startsWith(`${name}/`) && (architecture === undefined || step.endsWith(`/${architecture}`)),
    ).length;
  const open = (name: string): void => {
    for (const pass of closed.get(name) ?? []) pass();
    closed.delete(name);
  };
  return {
    // Of a killed engine's step nobody reads the output: the first process of a container must not await the signal
    // for that, which under qemu never ends it.
    step: (name) => `trap '' PIPE; busybox wget -q -O - ${server.url.href}${name}/$TARGETARCH`,
    close: (name) => void closed.set(name, []),
    open,
    runs,
    async arrived(name, architecture, times = 1) {
      const what = `step ${name} comes ${times} times`;
      await until(() => runs(name, architecture) >= times, { timeout: patience, what });
    },
    async [Symbol.asyncDispose]() {
      for (const name of closed.keys()) open(name);
      await server[Symbol.asyncDispose]();
    },
  };
}
