/** Blobs on their way between repositories of Debian's docker-registry, with somebody in between who makes it hard. */
import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseImage } from '../../../coordinator/manifest/document.ts';
import { bringBlob, readBlob } from '../../../coordinator/registry/blobs.ts';
import { putChild } from '../../../coordinator/registry/children.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import type { Repository } from '../../../coordinator/registry/repository.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import type { Descriptor } from '../../../shared/progress.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { dockerConfig } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startFaultProxy, type Hook } from '../../support/fault-proxy.ts';
import type { Handler } from '../../support/http-server.ts';
import { startServer, type RunningServer } from '../../support/logged-server.ts';
import { until } from '../../support/until.ts';
import { digestOf, pullDocument, pushBlob, pushSample } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const MiB = 1024 * 1024;
const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';

interface Bench {
  readonly registries: Registries;
  readonly proxy: RunningServer;
  /** Of the real registry. */
  readonly host: string;
  repository(name: string): Repository;
  /** A blob of random bytes in repository `from`. */
  blob(size: number): Promise<{ bytes: Buffer; blob: Descriptor }>;
  bring(blob: Descriptor, from?: string): Promise<string>;
  /** What was asked of the proxy so far, without digests and upload ids, as `METHOD what`. */
  asked(): string[];
}

async function withBench(hook: Hook, work: (bench: Bench) => Promise<void>): Promise<void> {
  await using registry = await startRegistry();
  await using proxy = await startFaultProxy(registry.host, hook);
  await using config = await dockerConfig({});
  const timing = { ...defaultTiming, firstPause: 1, maxPause: 5 };
  await using registries = new Registries({ configDirectory: config.path, timing });
  const repository = (name: string): Repository =>
    registries.repository(parseReference(`${proxy.host}/${name}`));
  await work({
    registries,
    proxy,
    host: registry.host,
    repository,
    async blob(size) {
      const bytes = randomBytes(size);
      await pushBlob({ host: registry.host, repository: 'from' }, bytes);
      return { bytes, blob: { mediaType, digest: digestOf(bytes), size } };
    },
    bring: (blob, from = 'from') => bringBlob({ from: repository(from), to: repository('to'), blob }, signal),
    asked: () =>
      proxy.log.map((line) =>
        line
          .replace(/ .*\/uploads\/\?mount.*/, ' mount')
          .replace(/ .*\/uploads\/$/, ' uploads')
          .replace(/ .*\/uploads\/.*digest=.*/, ' close')
          .replace(/ .*\/uploads\/.*/, ' upload')
          .replace(/ .*\/blobs\/sha256.*/, ' blob'),
      ),
  });
}

async function check(bench: Bench, { bytes, blob }: { bytes: Buffer; blob: Descriptor }): Promise<void> {
  const read = await readBlob(bench.repository('to'), blob, { limit: blob.size, signal });
  assert.ok(read.equals(bytes));
}

function isMount(url: string | undefined): boolean {
  return url?.includes('?mount=') === true;
}

/** Mounts become uploads, as registries do that know no mounts. */
const withoutMounts: Hook = (request) => {
  if (isMount(request.url)) request.url = request.url?.replace(/\?.*/, '');
  return false;
};

test('a registry that opens an upload instead of mounting gets the copy there, and is not asked to mount again', () =>
  withBench(withoutMounts, async (bench) => {
    const [one, two] = [await bench.blob(1000), await bench.blob(1000)];
    assert.is(await bench.bring(one.blob), 'copied');
    assert.equal(bench.asked(), ['POST mount', 'HEAD blob', 'GET blob', 'PUT close']);
    await check(bench, one);
    assert.is(await bench.bring(two.blob), 'copied');
    assert.equal(bench.asked().slice(5), ['HEAD blob', 'POST uploads', 'GET blob', 'PUT close']);
    await check(bench, two);
  }));

test('an upload that is not needed is given back', () =>
  withBench(withoutMounts, async (bench) => {
    const one = await bench.blob(1000);
    await pushBlob({ host: bench.host, repository: 'to' }, one.bytes);
    assert.is(await bench.bring(one.blob), 'present');
    assert.equal(bench.asked(), ['POST mount', 'HEAD blob', 'DELETE upload']);
  }));

test('a mount is refused in every way that registries have, and the blob arrives all the same', async () => {
  for (const status of [400, 401, 403, 404, 405, 500]) {
    const hook: Hook = (request, response) => {
      if (!isMount(request.url)) return false;
      response.writeHead(status).end('<html>no</html>');
      return true;
    };
    await withBench(hook, async (bench) => {
      const one = await bench.blob(1000);
      assert.is(await bench.bring(one.blob), 'copied', String(status));
      await check(bench, one);
    });
  }
});

test('a mount whose connection breaks each time is done without', () => {
  const hook: Hook = (request) => {
    if (!isMount(request.url)) return false;
    request.socket.destroy();
    return true;
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    assert.is(await bench.bring(one.blob), 'copied');
    await check(bench, one);
  });
});

test('a source that breaks off is what the error names, not who was to take it', async () => {
  const ends: Handler[] = [
    (_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('x', () => response.destroy());
    },
    (_, response) => void response.writeHead(200).end('x'.repeat(10)),
  ];
  for (const end of ends) {
    await using source = await startServer(end);
    await withBench(
      () => false,
      async (bench) => {
        const { blob } = await bench.blob(1000);
        const from = bench.registries.repository(parseReference(`${source.host}/from`));
        const error = await failureOf(bringBlob({ from, to: bench.repository('to'), blob }, signal));
        assert.match(error.message, `GET http://${source.host}/v2/from/blobs/`);
        assert.is(error.code, 'registry-unreachable');
      },
    );
  }
});

test('a registry that is slow keeps nobody from copying between others', async () => {
  await using slow = await startServer((request, response) => {
    // Never more than this.
    response.writeHead(200, { 'content-length': '1000' });
    response.write('x');
  });
  await withBench(
    () => false,
    async (bench) => {
      await using other = await startRegistry();
      await using third = await startRegistry();
      const at = (host: string): Repository => bench.registries.repository(parseReference(`${host}/a`));
      const stop = new AbortController();
      const copies = Array.from({ length: 4 }, async () => {
        const { blob } = await bench.blob(1000);
        return bringBlob({ from: at(slow.host), to: at(other.host), blob }, stop.signal);
      });
      const ended = Promise.allSettled(copies);
      await until(() => slow.log.filter((line) => line.startsWith('GET ')).length === 3);
      const one = await bench.blob(1000);
      assert.is(
        await bringBlob({ from: bench.repository('from'), to: at(third.host), blob: one.blob }, signal),
        'copied',
      );
      stop.abort(new Error('enough'));
      await ended;
    },
  );
});

test('a refusal that is about one repository leaves mounts from the others', () => {
  const hook: Hook = (request, response) => {
    if (!isMount(request.url) || request.url?.includes('from=vault') !== true) return false;
    response.writeHead(403).end();
    return true;
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    await pushBlob({ host: bench.host, repository: 'vault' }, one.bytes);
    assert.is(await bench.bring(one.blob, 'vault'), 'copied');
    assert.is(await bench.bring((await bench.blob(1000)).blob), 'mounted');
  });
});

/** As a proxy with a limit for bodies does. */
function limited(bytes: number): Hook {
  return (request, response) => {
    if (Number(request.headers['content-length'] ?? 0) <= bytes) return withoutMounts(request, response);
    request.resume().on('end', () => response.writeHead(413).end('<html>Request Entity Too Large</html>'));
    return true;
  };
}

test('what is too large for one request goes in chunks, which shrink until they fit, and are remembered', () =>
  withBench(limited(MiB), async (bench) => {
    const one = await bench.blob(5 * MiB + 123);
    assert.is(await bench.bring(one.blob), 'copied');
    await check(bench, one);
    const chunks = bench.asked().filter((line) => line === 'PATCH upload').length;
    assert.is(chunks, 1 + 17);
    const before = bench.asked().length;
    const two = await bench.blob(MiB);
    await bench.bring(two.blob);
    // Of a size that fits, from the first one on.
    assert.is(
      bench
        .asked()
        .slice(before)
        .filter((line) => line === 'PATCH upload').length,
      4,
    );
    await check(bench, two);
  }));

test('chunks are as large as the registry wants them at least', () => {
  const sizes: number[] = [];
  const hook: Hook = (request, response) => {
    const { method, url, headers } = request;
    if (method === 'PUT' && Number(headers['content-length']) > 3 * MiB) {
      request.resume().on('end', () => response.writeHead(413).end());
      return true;
    }
    if (method === 'PATCH') sizes.push(Number(headers['content-length']));
    if (method === 'POST' && url?.endsWith('/uploads/') === true) {
      response.setHeader('oci-chunk-min-length', String(2 * MiB));
    }
    return withoutMounts(request, response);
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(5 * MiB);
    assert.is(await bench.bring(one.blob), 'copied');
    await check(bench, one);
    assert.equal(sizes, [2 * MiB, 2 * MiB, MiB]);
  });
});

test('a registry that takes no piece of a useful size is an error', () =>
  withBench(limited(1000), async (bench) => {
    const one = await bench.blob(MiB);
    assert.match((await failureOf(bench.bring(one.blob))).message, 'it takes no chunk of a useful size');
  }));

test('a chunked copy that breaks goes on where the registry says it is, on both sides', () => {
  let patches = 0;
  let broken = false;
  const ranges: string[] = [];
  const hook: Hook = (request, response) => {
    const { method, headers } = request;
    if (method === 'GET' && headers.range !== undefined) ranges.push(headers.range);
    if (method === 'PATCH' && ++patches === 3) {
      broken = true;
      request.socket.destroy();
      return true;
    }
    return limited(MiB)(request, response);
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(2 * MiB);
    bench.repository('to').client.capabilities.tooLarge(MiB);
    assert.is(await bench.bring(one.blob), 'copied');
    assert.ok(broken);
    assert.equal(ranges, [`bytes=${MiB / 2}-`]);
    assert.is(patches, 9);
    await check(bench, one);
  });
});

test('a broken copy of a small blob starts over, and an answer that got lost is noticed', () => {
  let closes = 0;
  const hook: Hook = (request, response) => {
    const { method } = request;
    if (method === 'PUT' && ++closes === 1) {
      request.socket.destroy();
      return true;
    }
    return withoutMounts(request, response);
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    assert.is(await bench.bring(one.blob), 'copied');
    assert.is(closes, 2);
    await check(bench, one);
  });
});

test('a streamed copy whose token ran out is begun anew with another', () => {
  const seen: (string | undefined)[] = [];
  const hook: Hook = (request, response) => {
    const { method, url, headers } = request;
    if (url?.startsWith('/token') === true) {
      response.end('{"token":"new"}');
      return true;
    }
    if (method === 'PUT') seen.push(headers.authorization);
    if (method !== 'PUT' || seen.length > 1) return withoutMounts(request, response);
    request.resume().on('end', () => {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="/token",service="s"' }).end();
    });
    return true;
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(MiB);
    assert.is(await bench.bring(one.blob), 'copied');
    assert.equal(seen, [undefined, 'Bearer new']);
    await check(bench, one);
  });
});

test('a blob goes from one registry to another', () =>
  withBench(
    () => false,
    async (bench) => {
      await using other = await startRegistry();
      const one = await bench.blob(3 * MiB);
      const to = bench.registries.repository(parseReference(`${other.host}/to`));
      const from = bench.repository('from');
      assert.is(await bringBlob({ from, to, blob: one.blob }, signal), 'copied');
      assert.ok((await readBlob(to, one.blob, { limit: one.blob.size, signal })).equals(one.bytes));
      assert.is(await bringBlob({ from, to, blob: one.blob }, signal), 'present');
    },
  ));

test('blobs that a registry only says it has mounted are copied when it misses them', () => {
  const hook: Hook = (request, response) => {
    if (!isMount(request.url)) return false;
    response.writeHead(201, { location: '/v2/to/blobs/x' }).end();
    return true;
  };
  return withBench(hook, async (bench) => {
    const platform = { os: 'linux', architecture: 'amd64' };
    const image = await pushSample({ host: bench.host, repository: 'from' }, { platform });
    const { digest, mediaType, bytes } = image;
    const { layers, config } = parseImage({ digest, mediaType, bytes }, 'sample');
    const blobs = [config, ...layers];
    for (const blob of blobs) assert.is(await bench.bring(blob), 'mounted');
    const [from, to] = [bench.repository('from'), bench.repository('to')];
    const child = { manifest: { digest, mediaType, bytes }, blobs };
    assert.is((await putChild(child, { from, to }, signal)).length, 3);
    const stored = await pullDocument({ host: bench.host, repository: 'to' }, digest);
    assert.equal(stored?.bytes, bytes);
    assert.equal(await putChild(child, { from, to }, signal), []);
  });
});

test('a copy that is slower than slow is broken off', () => {
  const hook: Hook = (request, response) => {
    if (request.method !== 'GET') return withoutMounts(request, response);
    response.writeHead(200, { 'content-length': '1000' });
    response.write('x');
    return true;
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    await using config = await dockerConfig({});
    const timing = { ...defaultTiming, tries: 1, answer: 100, slowest: 1000 };
    await using hurried = new Registries({ configDirectory: config.path, timing });
    const at = (name: string): Repository =>
      hurried.repository(parseReference(`${bench.proxy.host}/${name}`));
    const bringing = bringBlob({ from: at('from'), to: at('to'), blob: one.blob }, signal);
    assert.match((await failureOf(bringing)).message, 'no whole answer within');
  });
});

test.run();
