import picocolors from 'picocolors';
import stringWidth from 'string-width';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BuildView } from '../../../../coordinator/cli/progress/build-view.ts';
import { draw } from '../../../../coordinator/cli/progress/drawing.ts';
import type { Frame } from '../../../../shared/progress.ts';
import { exampleFrames } from '../../../support/frames.ts';

const paint = picocolors.createColors(false);

function viewOf(frames: readonly Frame[]): BuildView {
  const view = new BuildView({ colours: true });
  for (const frame of frames) view.take(frame, frame.time);
  return view;
}

test('every platform shows what runs there now, with the last lines of its log', () => {
  const lines = draw(viewOf(exampleFrames.slice(0, 11)), { columns: 60, rows: 20, now: 3000, paint });
  assert.equal(lines, [
    'linux/amd64 running on a (native)                       3.0s',
    '  ✓ [internal] load build context                       0.1s',
    '  ✓ [1/2] FROM base cached',
    'linux/arm64/v8 running on pi-01 (emulated)              3.0s',
    '  > [2/2] RUN make                                      2.0s',
    '    │ one',
    '    │ \u001B[31mred two\u001B[0m',
    '    │ 30%',
  ]);
});

test('the drawing never leaves the screen, however small it is and however much there is to show', () => {
  const many = Array.from({ length: 40 }, (_, index): Frame[] => {
    const at = { seq: 1, build: 'b', time: 0, platform: `linux/日本語-${index}`, agent: 'x'.repeat(300) };
    return [
      { ...at, type: 'state', state: 'running', native: true },
      { ...at, type: 'step', step: 's', name: `[1/1] RUN ${'日本'.repeat(200)}`, status: 'started' },
      {
        ...at,
        type: 'log',
        step: 's',
        stream: 'stdout',
        text: `\u001B[32m${'長い行'.repeat(500)}\t\n`.repeat(40),
      },
      { ...at, type: 'warning', message: 'w'.repeat(500) },
    ];
  }).flat();
  const view = viewOf(many);
  for (const rows of [1, 2, 5, 22, 100]) {
    for (const columns of [10, 30, 80, 200]) {
      const lines = draw(view, { columns, rows, now: 100, paint });
      assert.ok(lines.length <= rows, `${lines.length} lines on ${rows} rows`);
      for (const line of lines) assert.ok(stringWidth(line) <= columns, `${columns}: ${line}`);
    }
  }
});

test('what a push has sent is told while it runs', () => {
  const [line = ''] = draw(viewOf(exampleFrames.slice(0, 15)), { columns: 80, rows: 20, now: 3000, paint });
  assert.match(line, /running on a \(native\), pushing 0\.5 of 2\.0 MB/);
});

test.run();
