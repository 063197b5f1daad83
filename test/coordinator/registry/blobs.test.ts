/** Blobs that are mounted or copied whole; in chunks they are in `chunked-copy.test.ts`. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseImage } from '../../../coordinator/manifest/document.ts';
import { bringBlob, readBlob } from '../../../coordinator/registry/blobs.ts';
import { putChild } from '../../../coordinator/registry/children.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import type { Repository } from '../../../coordinator/registry/repository.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { checkBlob, isMount, withBench, withoutMounts } from '../../support/blob-bench.ts';
import { dockerConfig } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import type { Hook } from '../../support/fault-proxy.ts';
import type { Handler } from '../../support/http-server.ts';
import { startServer } from '../../support/logged-server.ts';
import { until } from '../../support/until.ts';
import { pullDocument, pushBlob, pushSample } from '../../support/sample-image.ts';

const { signal } = new AbortController();
const MiB = 1024 * 1024;

test('a registry that opens an upload instead of mounting gets the copy there, and is not asked to mount again', () =>
  withBench(withoutMounts, async (bench) => {
    const [one, two] = [await bench.blob(1000), await bench.blob(1000)];
    assert.is(await bench.bring(one.blob), 'copied');
    assert.equal(bench.asked(), ['POST mount', 'HEAD blob', 'GET blob', 'PUT close']);
    await checkBlob(bench, one);
    assert.is(await bench.bring(two.blob), 'copied');
    assert.equal(bench.asked().slice(5), ['HEAD blob', 'POST uploads', 'GET blob', 'PUT close']);
    await checkBlob(bench, two);
  }));

test('an upload that is not needed is given back', () =>
  withBench(withoutMounts, async (bench) => {
    const one = await bench.blob(1000);
    await pushBlob({ host: bench.host, repository: 'to' }, one.bytes);
    assert.is(await bench.bring(one.blob), 'present');
    assert.equal(bench.asked(), ['POST mount', 'HEAD blob', 'DELETE upload']);
  }));

test('a blob that a registry has in a storage of its own is there, though its address is signed for GET alone', async () => {
  await using storage = await startServer((_, response) => void response.writeHead(403).end());
  const hook: Hook = (request, response) => {
    if (request.method !== 'HEAD') return withoutMounts(request, response);
    return (answer, response) => {
      const location = `http://${storage.host}/blob?signature=1`;
      if (answer.statusCode === 200) response.writeHead(307, { location });
      else response.writeHead(404);
      response.end();
    };
  };
  await withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    await pushBlob({ host: bench.host, repository: 'to' }, one.bytes);
    assert.is(await bench.bring(one.blob), 'present');
    const other = await bench.blob(1000);
    assert.is(await bench.bring(other.blob), 'copied');
    await checkBlob(bench, other);
  });
  assert.equal(storage.log, []);
});

test('a registry that redirects to itself is asked there whether it has a blob', () => {
  const hook: Hook = (request, response) => {
    if (request.method === 'HEAD' && request.url?.includes('?') === false) {
      response.writeHead(308, { location: `${request.url}?again` }).end();
      return true;
    }
    return withoutMounts(request, response);
  };
  return withBench(hook, async (bench) => {
    const one = await bench.blob(1000);
    assert.is(await bench.bring(one.blob), 'copied');
    await checkBlob(bench, one);
    assert.is(await bench.bring(one.blob), 'present');
  });
});

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
      await checkBlob(bench, one);
    });
  }
});

test('a refused mount with an upload at no place that can be used is a refused mount all the same', async () => {
  for (const location of [
    'http://',
    'https://[::1',
    'ftp://stranger.invalid/upload',
    'http://stranger.invalid/upload',
    'http://169.254.169.254/upload',
    '/v2/to/blobs/uploads/nowhere',
  ]) {
    const hook: Hook = (request, response) => {
      if (!isMount(request.url)) return false;
      response.writeHead(202, { location }).end();
      return true;
    };
    await withBench(hook, async (bench) => {
      const one = await bench.blob(1000);
      assert.is(await bench.bring(one.blob), 'copied', location);
      await checkBlob(bench, one);
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
    await checkBlob(bench, one);
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
    await checkBlob(bench, one);
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
    await checkBlob(bench, one);
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
