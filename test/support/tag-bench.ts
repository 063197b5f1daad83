/** A registry behind a proxy that fails where a test says so, and publications of tags of one repository there. */
import * as assert from 'uvu/assert';
import type { VerifiedImage } from '../../coordinator/farm/events.ts';
import type { Publication } from '../../coordinator/manifest/publication.ts';
import { publish, type PublishOptions } from '../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../coordinator/manifest/verify.ts';
import { Registries } from '../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../coordinator/registry/timing.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { parsePlatform } from '../../shared/platform.ts';
import { parseReference } from '../../shared/reference.ts';
import { startFaultProxy, type Hook } from './fault-proxy.ts';
import { pullDocument, pushSample } from './sample-image.ts';

const { signal } = new AbortController();
const timing = { ...defaultTiming, tries: 3, firstPause: 1, maxPause: 5 };

export interface TagBench extends AsyncDisposable {
  /** What happens to requests from now on. */
  hook: Hook;
  /** A new image of the platform. */
  image(platform?: string): Promise<VerifiedImage>;
  /** Gives a tag of `app` an old image; its digest. */
  seed(tag: string, architecture?: string): Promise<string>;
  at(tag: string): Promise<string | undefined>;
  names(...tags: readonly string[]): string[];
  publish(publication: Publication, options?: Partial<PublishOptions>): Promise<unknown>;
  /** Begins to publish, and is interrupted when `one` has moved and `two` has not: what is on disk of it. */
  interrupt(publication: Publication): Promise<Record<string, string>>;
}

export async function startTagBench(): Promise<TagBench> {
  const registry = await startRegistry({ inMemory: true });
  const proxy = await startFaultProxy(registry.host, (request, response) => bench.hook(request, response));
  const registries = new Registries({ configDirectory: '/nonexistent', timing });
  const target = { host: registry.host, repository: 'app' };
  const bench: TagBench = {
    hook: () => false,
    async image(text = 'linux/amd64') {
      const platform = parsePlatform(text);
      const repository = `app-${platform.architecture}`;
      const { reported } = await pushSample({ host: registry.host, repository }, { platform });
      const reference = parseReference(`${proxy.host}/${repository}`);
      return verifyImage({ reported, reference, platform }, registries, signal);
    },
    async seed(tag, architecture = 'amd64') {
      const platform = { os: 'linux', architecture };
      return (await pushSample({ ...target, tag }, { platform })).digest;
    },
    at: async (tag) => (await pullDocument(target, tag))?.digest,
    names: (...tags) => tags.map((tag) => `${proxy.host}/app:${tag}`),
    publish: (publication, options) =>
      publish(publication, registries, {
        signal,
        onEvent: () => {},
        onMoving: () => Promise.resolve(),
        ...options,
      }),
    async interrupt(publication) {
      let previous: Record<string, string> = {};
      const stop = new AbortController();
      let moved = false;
      let held = false;
      const { hook } = bench;
      const met = (): void => {
        if (moved && held) stop.abort();
      };
      bench.hook = (request) => {
        if (isPut(request, 'two')) {
          held = true;
          met();
          return true;
        }
        if (!isPut(request, 'one')) return false;
        return (answer) => {
          answer.resume();
          moved = true;
          met();
        };
      };
      const onMoving = async (old: Readonly<Record<string, string>>) => void (previous = { ...old });
      await bench.publish(publication, { signal: stop.signal, onMoving }).then(
        () => assert.unreachable('it was to be interrupted'),
        () => {},
      );
      bench.hook = hook;
      return previous;
    },
    async [Symbol.asyncDispose]() {
      await registries[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
  return bench;
}

/** Whether it moves the tag. */
export function isPut(
  { method, url }: { method?: string | undefined; url?: string | undefined },
  tag: string,
) {
  return method === 'PUT' && url === `/v2/app/manifests/${tag}`;
}

/** Denies requests that begin so: `PUT /v2/…`. */
export function refuse(...lines: readonly string[]): Hook {
  return ({ method, url = '' }, response) => {
    if (!lines.some((line) => `${method} ${url}`.startsWith(line))) return false;
    response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"on purpose"}]}');
    return true;
  };
}
