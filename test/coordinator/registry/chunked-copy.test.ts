/** Blobs that are too large for one request, or break on their way. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkBlob, withBench, withoutMounts } from '../../support/blob-bench.ts';
import { failureOf } from '../../support/failure.ts';
import type { Hook } from '../../support/fault-proxy.ts';

const MiB = 1024 * 1024;

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
    await checkBlob(bench, one);
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
    await checkBlob(bench, two);
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
    await checkBlob(bench, one);
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
    await checkBlob(bench, one);
  });
});

test.run();
