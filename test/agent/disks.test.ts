import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Disks } from '../../agent/disks.ts';
import { Deferred } from '../../shared/context/deferred.ts';
import { silentLogger } from '../../shared/log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const soon = new AbortController().signal;

test('a disk on which room is made for long takes no builds meanwhile, and takes some as soon as there is room', async () => {
  await using directory = await temporaryDirectory();
  const made = new Deferred<boolean>();
  const watermark = { share: Infinity, bytes: Number.MAX_SAFE_INTEGER };
  const options = { watermark, paths: [], log: silentLogger, makeRoom: () => made.promise };
  const patient = new Disks(options);
  const disks = new Disks({ ...options, patience: 0 });
  for (const each of [patient, disks]) {
    await each.look(directory.path, soon);
    assert.is(each.lack, undefined, 'first room is made');
    await each.look(directory.path, soon);
  }
  assert.is(patient.lack, undefined, 'which mostly is a matter of seconds');
  assert.match(disks.lack ?? '', /^disk: .* free at .*; room is being made$/);
  made.resolve(true);
  await disks.settled();
  await disks.look(directory.path, soon);
  assert.match(disks.lack ?? '', /^disk: .*, also after .* reclaimed$/);
  watermark.bytes = 0;
  await disks.look(directory.path, soon);
  assert.is(disks.lack, undefined);
});

test.run();
