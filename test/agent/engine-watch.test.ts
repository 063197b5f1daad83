import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../agent/engine/engine.ts';
import { EngineWatch } from '../../agent/engine-watch.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { silentLogger } from '../../shared/log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { currentVersion, startFakeEngine } from './engine/fake-engine.ts';

// No interpreter of a Linux kernel makes a host one of this.
const foreign = 'windows/amd64';
const s390x = JSON.stringify({ OSType: 'linux', Architecture: 's390x' });

interface Watched extends AsyncDisposable {
  readonly watch: EngineWatch;
}

async function watchOf(restrictTo: string[], info: readonly string[] = [s390x]): Promise<Watched> {
  const fake = await startFakeEngine({ ...currentVersion, 'GET /info': info });
  const data = await temporaryDirectory();
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: data.path });
  return {
    watch: new EngineWatch({ engine, restrictTo, log: silentLogger, interval: 5 }),
    async [Symbol.asyncDispose]() {
      await fake[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}

test('an agent that is to build what its engine neither is nor emulates does not start', async () => {
  await using watched = await watchOf(['linux/s390x', foreign]);
  const error = await watched.watch.start(new AbortController().signal).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ArchfarmError && error.code === 'config');
  assert.match(error.message, /^this host cannot build windows\/amd64: it has linux\/s390x \(native\)/);
  assert.match(error.hint ?? '', '--platform windows/amd64');
});

test('an agent offers nothing and says why, when its engine turns out to be another one than it was started for', async () => {
  // It was away when the agent started.
  await using watched = await watchOf([foreign], ['', s390x]);
  const { watch } = watched;
  const stop = new AbortController();
  await watch.start(stop.signal);
  assert.is.not(watch.trouble, undefined);
  const told = new Promise<string | undefined>((resolve) => watch.onChange(() => resolve(watch.trouble)));
  const running = watch.run(stop.signal);
  assert.match((await told) ?? '', /^this host cannot build windows\/amd64: it has linux\/s390x \(native\)/);
  assert.equal(watch.platforms, []);
  stop.abort();
  await running;
});

test.run();
