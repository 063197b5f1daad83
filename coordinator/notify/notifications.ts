/** Tells others what becomes of builds. Whatever goes wrong with that, no build waits for it. */
import type { Logger } from '../../shared/log.ts';
import type { BuildResult, BuildStatus } from '../../shared/progress.ts';
import type { PublishCommand } from './publish-command.ts';
import type { Webhook } from './webhook.ts';

export interface NotificationsOptions {
  readonly webhooks: readonly Webhook[];
  readonly onPublish: PublishCommand | undefined;
  readonly log: Logger;
}

/** States of a build that goes on. Its end is told with its result. */
const under: ReadonlySet<string> = new Set<BuildStatus>(['queued', 'running', 'publishing']);

export class Notifications implements AsyncDisposable {
  readonly #options: NotificationsOptions;

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** A build, not one of its tasks, came to a new state. */
  state(build: string, state: string, time: number): void {
    if (under.has(state)) this.#tell(build, state, { build, status: state, time });
  }

  /** The build has ended, and is not archived yet. */
  ended(result: BuildResult): void {
    const { build, status } = result;
    this.#tell(build, status, { build, status, time: result.created + result.timings.total, result });
    if (result['containerimage.digest'] !== undefined) this.#options.onPublish?.published(result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { webhooks, onPublish } = this.#options;
    await Promise.all([...webhooks.map((webhook) => webhook.close()), onPublish?.close()]);
  }

  #tell(build: string, status: string, news: object): void {
    const event = `build.${status}`;
    for (const webhook of this.#options.webhooks) {
      try {
        webhook.tell({ id: `${build}.${status}`, build, event, body: JSON.stringify({ event, ...news }) });
      } catch (err) {
        this.#options.log.error({ build, err }, 'a webhook cannot be told of it');
      }
    }
  }
}
