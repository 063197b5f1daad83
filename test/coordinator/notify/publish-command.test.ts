import { pino } from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { PublishCommand } from '../../../coordinator/notify/publish-command.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { until } from '../../support/until.ts';

const recordSchema = v.looseObject({
  msg: v.string(),
  line: v.optional(v.string()),
  reason: v.optional(v.string()),
});
type LogRecord = v.InferOutput<typeof recordSchema>;

function published(build: string, name = 'py-app'): BuildResult {
  return {
    build,
    name,
    status: 'succeeded',
    created: 0,
    'image.name': 'localhost:5000/py-app:latest',
    tags: ['localhost:5000/py-app:latest', 'localhost:5000/py-app:1'],
    'containerimage.digest': 'sha256:abc',
    context: { digest: '', files: 0, bytes: 0, sentBytes: 0 },
    platforms: [],
    timings: { total: 1 },
  };
}

function commandOf(command: string, timeout?: number): { run: PublishCommand; records: LogRecord[] } {
  const records: LogRecord[] = [];
  const log = pino({}, { write: (line) => records.push(v.parse(recordSchema, JSON.parse(line))) });
  const environment = {
    PATH: process.env['PATH'],
    ARCHFARM_TOKEN: 'secret',
    ARCHFARM_WEBHOOK_SECRET: 'secret',
  };
  const options = { command, log, environment, ...(timeout === undefined ? {} : { timeout }) };
  return { run: new PublishCommand(options), records };
}

const linesOf = (records: readonly LogRecord[]): string[] => records.flatMap(({ line }) => line ?? []);

test('the command is told by its environment, and what a build says is never run', async () => {
  const { run, records } = commandOf(
    'echo "$ARCHFARM_NAME|$ARCHFARM_REFERENCE|$ARCHFARM_TAGS|$ARCHFARM_TOKEN$ARCHFARM_WEBHOOK_SECRET"',
  );
  run.published(published('1', '$(echo run)`echo run`; echo run'));
  await until(() => linesOf(records).length === 1);
  assert.equal(linesOf(records), [
    '$(echo run)`echo run`; echo run|localhost:5000/py-app@sha256:abc|' +
      'localhost:5000/py-app:latest localhost:5000/py-app:1|',
  ]);
  await run.close();
});

test('one runs after the other, and a failure is in the log', async () => {
  const { run, records } = commandOf('echo $ARCHFARM_BUILD; exit 3');
  run.published(published('1'));
  run.published(published('2'));
  await until(() => records.filter(({ reason }) => reason === 'status 3').length === 2);
  assert.equal(linesOf(records), ['1', '2']);
  await run.close();
});

test('a command that takes too long ends, with what it started', async () => {
  const { run, records } = commandOf('sleep 1000 & echo $!; wait', 300);
  run.published(published('1'));
  await until(() => records.some(({ reason }) => reason === 'still running after 0.3 s'));
  const [pid] = linesOf(records).map(Number);
  await until(() => !isAlive(pid ?? 0));
  await run.close();
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.run();
