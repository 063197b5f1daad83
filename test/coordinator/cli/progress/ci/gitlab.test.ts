import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRenderer } from '../../../../../coordinator/cli/progress/create-renderer.ts';
import type { Variables } from '../../../../../coordinator/cli/progress/renderer.ts';
import type { Frame } from '../../../../../shared/progress.ts';
import { exampleFrames } from '../../../../support/frames.ts';
import { FakeScreen } from '../../../../support/screen.ts';

async function logOf(frames: readonly Frame[], environment: Variables): Promise<string> {
  const screen = new FakeScreen({ isTTY: false });
  {
    using renderer = await createRenderer('auto', { screen, environment });
    for (const frame of frames) renderer.show(frame);
  }
  return screen.text;
}

/** As GitLab reads a job's log. */
function sectionsIn(log: string): string[] {
  // oxlint-disable-next-line no-control-regex -- a marker has one
  const marker = /section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[[^\]]*\])?\r\u001B\[0K/g;
  return [...log.matchAll(marker)].map(([, edge, , name]) => `${edge} ${name}`);
}

test('what a platform printed is a section that is folded and has its time', async () => {
  const frames = exampleFrames.map((frame) => ({ ...frame, time: frame.time * 10 + 1_700_000_000_000 }));
  const text = await logOf(frames, { GITLAB_CI: 'true' });
  const name = 'archfarm_1700000010000_2_linux-arm64-v8-on-pi-01-emulated-failed-';
  const at = text.indexOf('\u001B[0Ksection_start:1700000010:');
  assert.equal(text.slice(at).split('\n'), [
    `\u001B[0Ksection_start:1700000010:${name}[collapsed=true]\r\u001B[0Klinux/arm64/v8 on pi-01 (emulated): failed after 27.0s`,
    '[linux/arm64/v8 2/2] RUN make',
    '[linux/arm64/v8 2/2] 5.120 one',
    '[linux/arm64/v8 2/2] 5.120 red two',
    '[linux/arm64/v8 2/2] 6.000 30%',
    '[linux/arm64/v8 2/2] FAILED 1.5s: exit code: 2',
    `\u001B[0Ksection_end:1700000027:${name}\r\u001B[0K`,
    '[linux/arm64/v8] failed: make: exit code 2',
    '[publish] tag reg.example/onap/py-app:latest sha256:abc',
    '[build b1] failed: a platform failed',
    '',
  ]);
});

test('output of a build begins and ends no section', async () => {
  const evil = '\u001B[0Ksection_end:1:archfarm_20_1\r\u001B[0K\n\u001B[0Ksection_start:1:x\r\u001B[0Kheader';
  const frames = exampleFrames.map((frame): Frame => {
    if (frame.type === 'log') return { ...frame, text: evil };
    if (frame.type === 'step') return { ...frame, name: evil };
    return frame.type === 'warning' ? { ...frame, message: evil } : { ...frame, agent: evil };
  });
  const sections = sectionsIn(await logOf(frames, { GITLAB_CI: 'true' }));
  assert.is(sections.length, 4);
  assert.is(new Set(sections).size, 4);
  assert.equal(
    sections.map((section) => section.split(' ')[0]),
    ['start', 'end', 'start', 'end'],
  );
});

test('ARCHFARM_CI says which system it is, or that it is none', async () => {
  const plain = await logOf(exampleFrames, {});
  assert.is(await logOf(exampleFrames, { GITLAB_CI: 'true', ARCHFARM_CI: 'none' }), plain);
  assert.is(await logOf(exampleFrames, { GITHUB_ACTIONS: 'true', ARCHFARM_CI: 'none' }), plain);
  assert.is(await logOf(exampleFrames, { JENKINS_URL: 'https://jenkins.lab/' }), plain);
  assert.is(sectionsIn(await logOf(exampleFrames, { ARCHFARM_CI: 'gitlab' })).length, 4);
  assert.match(await logOf(exampleFrames, { ARCHFARM_CI: 'github', GITLAB_CI: 'true' }), /^::group::/m);
  try {
    await logOf([], { ARCHFARM_CI: 'travis' });
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), 'ARCHFARM_CI is "travis"');
  }
});

test.run();
