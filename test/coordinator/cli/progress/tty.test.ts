import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TtyRenderer } from '../../../../coordinator/cli/progress/tty.ts';
import { exampleFrames } from '../../../support/frames.ts';
import { FakeScreen } from '../../../support/screen.ts';
import { until } from '../../../support/until.ts';

test('redraws while the build runs, keeps notes, and leaves the last state of every step', async () => {
  const screen = new FakeScreen({ isTTY: true });
  {
    using renderer = new TtyRenderer(screen, { colours: true, interval: 5 });
    for (const frame of exampleFrames.slice(0, 10)) renderer.show(frame);
    await until(() => screen.text.includes('[2/2] RUN make'), { what: 'the running step is drawn' });
    assert.match(screen.text, /running.* on pi-01/);
    renderer.note('connection lost');
    assert.match(screen.text, /archfarm: connection lost/);
    for (const frame of exampleFrames.slice(10)) renderer.show(frame);
    screen.text = '';
  }
  const last = stripVTControlCharacters(screen.text);
  assert.match(last, /linux\/amd64 pushed on a \(native\)/);
  assert.match(last, /✓ \[internal\] load build context +0\.1s/);
  assert.match(last, /✓ \[1\/2\] FROM base cached/);
  assert.match(last, /linux\/arm64\/v8 failed on pi-01 \(emulated\): make: exit code 2/);
  assert.match(last, /✗ \[2\/2\] RUN make +1\.5s/);
  assert.ok(last.endsWith('publishing: tag reg.example/onap/py-app:latest\n'), last);
});

test('a terminal that says it has no size is drawn on as one of 80 by 24', async () => {
  const drawn: string[] = [];
  for (const [columns, rows] of [
    [80, 24],
    [0, 0],
  ] as const) {
    const screen = Object.assign(new FakeScreen({ isTTY: true }), { columns, rows });
    using renderer = new TtyRenderer(screen, { colours: false, interval: 5 });
    for (const frame of exampleFrames.slice(0, 10)) renderer.show(frame);
    await until(() => screen.text.includes('[2/2] RUN make'), { what: 'the running step is drawn' });
    renderer[Symbol.dispose]();
    drawn.push(stripVTControlCharacters(screen.text).split('\n').slice(-4).join('\n'));
  }
  assert.match(drawn[0] ?? '', 'RUN make');
  assert.match(drawn[1] ?? '', 'RUN make');
});

test.run();
