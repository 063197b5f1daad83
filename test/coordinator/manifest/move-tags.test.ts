/** Several tags that move, or go back: a real registry behind a proxy that fails in the middle. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../support/failure.ts';
import { isPut, refuse, startTagBench } from '../../support/tag-bench.ts';

test('what was interrupted with a tag moved and cannot be finished leaves no tag moved', async () => {
  for (const line of [
    'GET /v2/app/manifests/two',
    'HEAD /v2/app/manifests/one-amd64',
    'PUT /v2/app/manifests/two',
  ]) {
    await using bench = await startTagBench();
    const old = [await bench.seed('one'), await bench.seed('two')];
    const wanted = { children: [await bench.image()], tags: bench.names('one', 'two'), childTags: true };
    const previous = await bench.interrupt(wanted);
    assert.is.not(await bench.at('one'), old[0]);
    bench.hook = refuse(line);
    const error = await failureOf(bench.publish({ ...wanted, previous }));
    assert.is(error.code, 'registry-denied');
    assert.match(error.message, `back at what they were: ${bench.names('one')[0]}`);
    assert.equal([await bench.at('one'), await bench.at('two')], old, line);
  }
});

test('a tag that was written goes back although it still reads as before, and what somebody else wrote stays', async () => {
  for (const theirs of [undefined, `sha256:${'0'.repeat(64)}`]) {
    await using bench = await startTagBench();
    const old = [await bench.seed('one'), await bench.seed('two')];
    const wanted = { children: [await bench.image()], tags: bench.names('one', 'two') };
    const denied = refuse('PUT /v2/app/manifests/two');
    bench.hook = async (request, response) => {
      if (request.method !== 'HEAD' || request.url !== '/v2/app/manifests/one')
        return denied(request, response);
      response.writeHead(200, { 'docker-content-digest': theirs ?? old[0] }).end();
      return true;
    };
    const error = await failureOf(bench.publish(wanted));
    const [one] = bench.names('one');
    if (theirs === undefined) {
      assert.match(error.message, `back at what they were: ${one}`);
      assert.equal([await bench.at('one'), await bench.at('two')], old);
    } else {
      assert.match(error.message, `not to be put back: ${one} (it stands for ${theirs}`);
      assert.is.not(await bench.at('one'), old[0]);
    }
  }
});

test('a read that lags is no failure, and a tag that never moves takes the others back', async () => {
  for (const looks of [2, Infinity])
    for (const tags of [['one'], ['one', 'two']]) {
      await using bench = await startTagBench();
      const old = [await bench.seed('one'), await bench.seed('two')];
      let looked = 0;
      bench.hook = ({ method, url }, response) => {
        if (method !== 'HEAD' || url !== '/v2/app/manifests/one' || ++looked > looks) return false;
        response.writeHead(200, { 'docker-content-digest': old[0] }).end();
        return true;
      };
      const work = bench.publish({ children: [await bench.image()], tags: bench.names(...tags) });
      if (looks === 2) {
        await work;
        assert.is.not(await bench.at('one'), old[0]);
        continue;
      }
      const error = await failureOf(work);
      assert.match(error.message, `${bench.names('one')[0]} was written as`);
      assert.match(error.message, `back at what they were: ${bench.names(...tags).join(', ')}`);
      assert.equal([await bench.at('one'), await bench.at('two')], old);
    }
});

test('a registry without HEAD is asked by GET, and given blobs without being asked', async () => {
  for (const status of [400, 405, 501]) {
    await using bench = await startTagBench();
    const old = [await bench.seed('one'), await bench.seed('two')];
    const wanted = { children: [await bench.image()], tags: bench.names('one', 'two') };
    const denied = refuse('PUT /v2/app/manifests/two');
    bench.hook = (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      if (searchParams.has('mount')) request.url = pathname;
      if (request.method !== 'HEAD') return denied(request, response);
      response.writeHead(status).end();
      return true;
    };
    const error = await failureOf(bench.publish(wanted));
    assert.match(error.message, `back at what they were: ${bench.names('one')[0]}`);
    assert.equal([await bench.at('one'), await bench.at('two')], old);
    await bench.publish({ ...wanted, tags: bench.names('three') });
  }
});

test('what goes on after an interruption takes no platform from a tag that somebody else wrote meanwhile', async () => {
  await using bench = await startTagBench();
  const [one, two] = bench.names('one', 'two');
  const old = await bench.seed('one');
  await bench.seed('two');
  const wanted = { children: [await bench.image()], tags: [one!, two!] };
  const previous = await bench.interrupt(wanted);
  const theirs = await bench.seed('two', 's390x');
  const error = await failureOf(bench.publish({ ...wanted, previous }));
  assert.is(error.code, 'platform-loss');
  assert.match(error.message, `back at what they were: ${one}`);
  assert.equal([await bench.at('one'), await bench.at('two')], [old, theirs]);

  // Where the rest fails, it is theirs that comes back.
  const again = await bench.seed('two');
  bench.hook = refuse('PUT /v2/app/manifests/three');
  const three = bench.names('three')[0]!;
  await failureOf(bench.publish({ ...wanted, tags: [...wanted.tags, three], previous }));
  assert.equal([await bench.at('one'), await bench.at('two')], [old, again]);
});

test('a tag under which the registry stores something else goes back', async () => {
  for (const tags of [['one'], ['two', 'one']]) {
    await using bench = await startTagBench();
    const old = [await bench.seed('one'), await bench.seed('two')];
    let stored: string | undefined;
    bench.hook = (request) => {
      if (!isPut(request, 'one') || stored !== undefined) return false;
      return async (answer, response) => {
        answer.resume();
        // As if it had normalized the document.
        stored = await bench.seed('one');
        response.writeHead(201, { 'docker-content-digest': stored }).end();
      };
    };
    const error = await failureOf(
      bench.publish({ children: [await bench.image()], tags: bench.names(...tags) }),
    );
    assert.match(error.message, `the registry stored ${stored}`);
    assert.match(error.message, `back at what they were: ${bench.names(...tags).join(', ')}`);
    assert.equal([await bench.at('one'), await bench.at('two')], old);
  }
});

test('an interruption does not stop tags that go back already, where nobody would go on', async () => {
  await using bench = await startTagBench();
  const old = [await bench.seed('one'), await bench.seed('two')];
  const stop = new AbortController();
  const denied = refuse('PUT /v2/app/manifests/two');
  bench.hook = (request, response) => {
    if (request.method === 'HEAD' && request.url === '/v2/app/manifests/one') stop.abort();
    return denied(request, response);
  };
  const wanted = { children: [await bench.image()], tags: bench.names('one', 'two') };
  const error = await failureOf(bench.publish(wanted, { signal: stop.signal, onMoving: undefined }));
  assert.ok(stop.signal.aborted);
  assert.match(error.message, `back at what they were: ${bench.names('one')[0]}`);
  assert.equal([await bench.at('one'), await bench.at('two')], old);
});

test.run();
