import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRenderer, type ProgressMode } from '../../../../coordinator/cli/progress/create-renderer.ts';
import type { Variables } from '../../../../coordinator/cli/progress/renderer.ts';
import { exampleFrames } from '../../../support/frames.ts';
import { FakeScreen } from '../../../support/screen.ts';

async function shown(mode: ProgressMode, isTTY: boolean, environment: Variables = {}): Promise<string> {
  const screen = new FakeScreen({ isTTY });
  {
    using renderer = await createRenderer(mode, { screen, environment });
    for (const frame of exampleFrames) renderer.show(frame);
  }
  return screen.text;
}

test('plain progress has a line for each thing that happens, with platform and step in front', async () => {
  assert.equal((await shown('plain', false)).trimEnd().split('\n'), [
    '[build b1] queued',
    '[linux/amd64] queued: waiting for an agent',
    '[linux/amd64] runs on a (native)',
    '[linux/arm64/v8] runs on pi-01 (emulated), attempt 2',
    '[linux/amd64 internal] load build context',
    '[linux/amd64 internal] DONE 0.1s load build context',
    '[linux/amd64 1/2] FROM base',
    '[linux/amd64 1/2] CACHED',
    '[linux/arm64/v8 2/2] RUN make',
    '[linux/arm64/v8 2/2] 0.512 one',
    '[linux/arm64/v8 2/2] 0.512 red two',
    '[linux/arm64/v8 2/2] 0.600 30%',
    '[linux/arm64/v8] WARNING: base image is old',
    '[linux/arm64/v8 2/2] FAILED 1.5s: exit code: 2',
    '[linux/amd64] push 5f70bf18a086: Pushing',
    '[linux/amd64] push 5f70bf18a086: Pushed',
    '[linux/amd64] pushed',
    '[linux/arm64/v8] failed: make: exit code 2',
    '[publish] tag reg.example/onap/py-app:latest sha256:abc',
    '[build b1] failed: a platform failed',
  ]);
});

test('colours of the build stay on a terminal that wants them', async () => {
  assert.ok((await shown('plain', true)).includes('0.512 \u001B[31mred two\u001B[0m\n'));
  assert.not.ok((await shown('plain', true, { NO_COLOR: '1' })).includes('\u001B'));
});

test('rawjson is the frames themselves', async () => {
  const frames = (await shown('rawjson', true))
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.equal(frames, exampleFrames);
});

test('quiet says nothing', async () => {
  assert.is(await shown('quiet', true), '');
});

test('auto redraws on a terminal only, and not for CI', async () => {
  const plain = await shown('plain', false);
  assert.is(await shown('auto', false), plain);
  assert.is(await shown('auto', true, { CI: 'true', NO_COLOR: '1' }), plain);
  assert.is(await shown('auto', true, { TERM: 'dumb' }), plain);
  assert.is.not(await shown('auto', true, { NO_COLOR: '1' }), plain);
});

test('notes of the command itself are lines among the others, but never among frames', async () => {
  for (const [mode, note] of [
    ['plain', 'archfarm: connection lost\n'],
    ['rawjson', ''],
  ] as const) {
    const screen = new FakeScreen({ isTTY: false });
    using renderer = await createRenderer(mode, { screen, environment: {} });
    renderer.note('connection lost');
    assert.is(screen.text, note);
  }
});

test.run();
