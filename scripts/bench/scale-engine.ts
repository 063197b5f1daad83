/** What an agent does with an offer where there is no engine: it takes it, says a little, pushes and reports. */
import type { ToAgent } from '../../shared/messages.ts';
import type { ScaleAgent } from './scale-agent.ts';
import type { ScaleRegistry } from './scale-registry.ts';

type Offer = Extract<ToAgent, { type: 'offer' }>;

const step = { step: 's', name: '[1/1] RUN make' } as const;

export class FakeEngine {
  readonly #registry: ScaleRegistry;
  /** Digests by `REPOSITORY:TAG` of what was built for. */
  readonly pushed = new Map<string, string[]>();

  constructor(registry: ScaleRegistry) {
    this.#registry = registry;
  }

  begin(agent: ScaleAgent, { attempt }: Offer): void {
    agent.attempts.add(attempt);
    agent.send({ type: 'accept', attempt });
    const time = Date.now();
    agent.send({
      type: 'progress',
      attempt,
      frame: 1,
      events: [{ type: 'step', time, ...step, status: 'started' }],
    });
  }

  end(agent: ScaleAgent, { attempt, task }: Offer, lastFrame = 2): void {
    const time = Date.now();
    agent.send({
      type: 'progress',
      attempt,
      frame: lastFrame,
      events: [
        { type: 'log', time, step: 's', stream: 'stdout', text: 'compiling\nlinking' },
        { type: 'step', time, ...step, status: 'done', duration: 1 },
      ],
    });
    const image = this.#registry.push(task.image, task.platform);
    const tag = tagOf(task.image);
    this.pushed.set(tag, [...(this.pushed.get(tag) ?? []), image.digest]);
    agent.send({ type: 'report', attempt, lastFrame, outcome: { status: 'pushed', image } });
  }
}

/** The last part of a reference. */
export function tagOf(image: string): string {
  return image.slice(image.lastIndexOf(':') + 1);
}
