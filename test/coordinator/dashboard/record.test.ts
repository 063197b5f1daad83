import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LogLines, LogSearch } from '../../../coordinator/dashboard/build/log-lines.ts';
import { phasesOf } from '../../../coordinator/dashboard/build/phases.ts';
import { BuildRecord } from '../../../coordinator/dashboard/build/record.ts';
import type { BuildEvent, Frame } from '../../../shared/progress.ts';

const platform = 'linux/amd64';

/** Numbers events as a coordinator does; each is of an agent, or of the build where that is undefined. */
function frames(...events: readonly (readonly [agent: string | undefined, event: BuildEvent])[]): Frame[] {
  return events.map(([agent, event], index) => ({
    seq: index + 1,
    build: 'b1',
    ...(agent === undefined ? {} : { platform, agent }),
    ...event,
  }));
}

function recordOf(...all: readonly Frame[]): BuildRecord {
  const record = new BuildRecord();
  for (const frame of all) record.take(frame);
  return record;
}

const lost = { code: 'agent-lost', message: 'agent a was silent for 45 s' } as const;

test('a task that moves on keeps every attempt, and what each of them did', () => {
  const record = recordOf(
    ...frames(
      ['a', { type: 'state', time: 10, state: 'running', attempt: 1, native: true }],
      ['a', { type: 'step', time: 12, step: 's', name: '[1/1] RUN make', status: 'started' }],
      ['a', { type: 'state', time: 50, state: 'queued', attempt: 1, reason: lost.message, error: lost }],
      ['b', { type: 'state', time: 60, state: 'running', attempt: 2, native: false }],
      ['a', { type: 'step', time: 61, step: 's', name: '[1/1] RUN make', status: 'done', duration: 40 }],
      ['b', { type: 'step', time: 62, step: 's', name: '[1/1] RUN make', status: 'started' }],
      ['b', { type: 'state', time: 90, state: 'pushed', attempt: 2, native: false }],
    ),
  );
  const task = record.platforms.get(platform);
  assert.is(task?.status, 'pushed');
  const told = task?.attempts.map(({ number, agent, outcome, steps }) => [
    number,
    agent,
    outcome,
    steps.get('s')?.status,
  ]);
  assert.equal(told, [
    [1, 'a', 'lost', 'done'],
    [2, 'b', 'pushed', 'started'],
  ]);
});

test('what comes again after a reconnect is known', () => {
  const all = frames(
    ['a', { type: 'state', time: 1, state: 'running', attempt: 1 }],
    ['a', { type: 'log', time: 2, step: 's', stream: 'stdout', text: 'once' }],
  );
  const record = recordOf(...all, ...all);
  assert.is(record.seq, 2);
  assert.is(record.platforms.get(platform)?.log.lines.length, 2);
});

test('phases follow each other, whatever the clock of the agent says', () => {
  const record = recordOf(
    ...frames(
      ['a', { type: 'state', time: 1000, state: 'running', attempt: 1 }],
      ['a', { type: 'step', time: 400, step: 's', name: 'RUN', status: 'started' }],
      ['a', { type: 'step', time: 500, step: 's', name: 'RUN', status: 'done', duration: 100 }],
      ['a', { type: 'step', time: 500, step: 'test', name: 'test', status: 'started' }],
      ['a', { type: 'push', time: 700, layer: 'l', status: 'Pushing', current: 1, total: 2 }],
      ['a', { type: 'state', time: 1500, state: 'pushed', attempt: 1 }],
    ),
  );
  const [attempt] = record.platforms.get(platform)?.attempts ?? [];
  assert.ok(attempt);
  assert.equal(phasesOf(attempt, 9999), [
    { phase: 'build', from: 1000, to: 1100 },
    { phase: 'test', from: 1100, to: 1300 },
    { phase: 'push', from: 1300, to: 1500 },
  ]);
});

test('a log tells steps, colours, states and failures, and nothing that a terminal would act on', () => {
  const record = recordOf(
    ...frames(
      ['a', { type: 'state', time: 1, state: 'running', attempt: 2, native: false }],
      ['a', { type: 'step', time: 2, step: 's', name: '[1/2] RUN\n make', status: 'started' }],
      [
        'a',
        { type: 'log', time: 3, step: 's', stream: 'stderr', text: '\u001B[2J\u001B[31mred\nstill\u001B[0m' },
      ],
      [
        'a',
        {
          type: 'step',
          time: 4,
          step: 's',
          name: '[1/2] RUN\n make',
          status: 'failed',
          duration: 2000,
          error: 'exit code: 1',
        },
      ],
      ['a', { type: 'step', time: 5, step: 't', name: '[2/2] COPY', status: 'cached' }],
    ),
  );
  const lines = record.platforms.get(platform)?.log.lines ?? [];
  assert.equal(
    lines.map(({ kind, text }) => [kind, text]),
    [
      ['state', 'attempt 2 runs on a (emulated)'],
      ['step', '#1 [1/2] RUN  make'],
      ['output', '\u001B[31mred\u001B[0m'],
      ['output', '\u001B[31mstill\u001B[0m\u001B[0m'],
      ['error', '#1 failed 2.0s: exit code: 1'],
      ['step', '#2 [2/2] COPY cached'],
    ],
  );
});

test('a search goes on where it was while lines come, and forgets what is gone', () => {
  const log = new LogLines(1000);
  const say = (text: string): void =>
    log.take({ seq: 1, build: 'b1', type: 'log', time: 1, step: 's', stream: 'stdout', text });
  const search = new LogSearch();
  say('one\n\u001B[1mTwo\u001B[0m three');
  assert.equal([...search.update('two t', log)], [1]);
  say('two t');
  assert.equal([...search.update('two t', log)], [1, 2]);
  assert.equal([...search.update('', log)], []);
  for (let line = 0; line < 1000; line += 1) say(`line ${line}`);
  assert.is(log.dropped, 100);
  assert.is(log.lines[search.update('line 999', log)[0] ?? -1]?.text, 'line 999');
});

test.run();
