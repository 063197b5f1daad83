/** Lines of a build's log as a coordinator sends them: as they lie on its disk. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseFrame } from '../../../coordinator/cli/api-answers.ts';
import { formatLine } from '../../../coordinator/store/log-line.ts';
import type { Frame } from '../../../shared/progress.ts';

test('a line that an agent’s message brought is read as the frame that it holds', () => {
  const frame: Frame = {
    seq: 5,
    build: 'b1',
    platform: 'linux/amd64',
    agent: 'a',
    type: 'log',
    time: 1,
    step: 's1',
    stream: 'stdout',
    text: 'hello',
  };
  const received = { attempt: 1, frame: 2, events: 1 };
  for (const line of [formatLine(frame, undefined), formatLine(frame, received)])
    assert.equal(parseFrame(JSON.parse(line)), frame);
});

test.run();
