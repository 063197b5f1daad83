import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FailureReport } from '../../../../coordinator/cli/progress/failure-report.ts';
import { summaryTable } from '../../../../coordinator/cli/progress/summary.ts';
import type { Frame } from '../../../../shared/progress.ts';
import { exampleFrames, exampleResult } from '../../../support/frames.ts';

test('the table says who built what, natively or not, how long and with which digest', async () => {
  assert.equal((await summaryTable(exampleResult)).split('\n'), [
    'PLATFORM        AGENT  MODE      TIME   DIGEST',
    `linux/amd64     a      native    1m02s  sha256:${'a'.repeat(64)}`,
    'linux/arm64/v8  pi-01  emulated  1.5s   failed',
  ]);
});

test('columns stay aligned under wide characters, and control sequences do not get through', async () => {
  const [first, second] = exampleResult.platforms;
  const platforms = [{ ...first!, agent: '日本\u001B[2J' }, second!];
  const [, line = ''] = (await summaryTable({ ...exampleResult, platforms })).split('\n');
  assert.match(line, /^linux\/amd64 {5}日本 {3}native {4}1m02s/);
});

test('a failure is told with platform, step, the last lines of its log, error and hint', () => {
  const report = new FailureReport({ colours: false });
  for (const frame of exampleFrames) report.show(frame);
  assert.equal(report.text(exampleResult).split('\n'), [
    'linux/arm64/v8 failed on pi-01: [2/2] RUN make',
    '  │ one',
    '  │ red two',
    '  │ 30%',
    '  make: exit code 2',
    '  see the log',
  ]);
});

test('only the last 30 lines of the attempt that failed are told', () => {
  const report = new FailureReport({ colours: false });
  const at = { seq: 1, build: 'b1', time: 0, platform: 'linux/arm64/v8', agent: 'pi-01' };
  const step = { ...at, type: 'step', step: 's', name: '[1/1] RUN x' } as const;
  const log = (text: string): Frame => ({ ...at, type: 'log', step: 's', stream: 'stdout', text });
  report.show({ ...step, status: 'started' });
  report.show(log('earlier attempt'));
  report.show({ ...at, type: 'state', state: 'running' });
  for (let line = 1; line <= 100; line++) report.show(log(`line ${line}`));
  report.show({ ...step, status: 'failed' });
  const lines = report.text(exampleResult).split('\n');
  assert.is(lines[1], '  │ line 71');
  assert.is(lines[30], '  │ line 100');
  assert.not.match(lines.join(), /earlier/);
});

test.run();
