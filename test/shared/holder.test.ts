import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freeName, heldName, holderState, newHolder, stateOf } from '../../shared/holder.ts';
import { until } from '../support/until.ts';

/** What a process with this number and start, or with the own one, would have named itself. */
function holderOf({ id, start, boot }: { id?: number; start?: string; boot?: string }): string {
  const [ownBoot, namespace, ownId, ownStart, random] = newHolder().split('-');
  return [boot ?? ownBoot, namespace, id ?? ownId, start ?? ownStart, random].join('-');
}

async function statOf(id: number): Promise<{ state: string | undefined; start: string | undefined }> {
  const text = await readFile(`/proc/${id}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], start: fields[19] };
}

test('this process runs, under a new name each time', () => {
  const holders = [newHolder(), newHolder()];
  assert.is.not(holders[0], holders[1]);
  for (const holder of holders) {
    const entry = heldName('a.b-1', holder);
    assert.is(stateOf(entry), 'running');
    assert.is(freeName(entry), 'a.b-1');
  }
  for (const free of ['a.b-1', 'a.0-1-2-3']) {
    assert.is(stateOf(free), 'free');
    assert.is(freeName(free), free);
  }
});

test('a process is gone when it was killed, also before anybody has asked how it ended', async () => {
  // A shell that becomes another program never asks.
  const parent = spawn('sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const id = Number(line);
  try {
    const { start } = await statOf(id);
    const holder = holderOf({ id, start: start! });
    assert.is(holderState(holder), 'running');
    process.kill(id, 'SIGKILL');
    await until(async () => (await statOf(id)).state === 'Z');
    assert.is(holderState(holder), 'gone');
  } finally {
    parent.kill('SIGKILL');
    await once(parent, 'close');
  }
  assert.is(holderState(holderOf({ id: parent.pid! })), 'gone');
});

test('another process under the same number is not taken for it', () => {
  assert.is(holderState(holderOf({ start: '1' })), 'gone');
});

test('of a process of another start of the kernel nothing is known', () => {
  assert.is(holderState(holderOf({ boot: '0123456789ab' })), 'unknown');
});

test.run();
