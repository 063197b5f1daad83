import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GitHub } from '../../../../../coordinator/cli/progress/ci/github.ts';
import { guardIn } from '../../../../../coordinator/cli/progress/ci/workflow-commands.ts';
import { createRenderer } from '../../../../../coordinator/cli/progress/create-renderer.ts';
import { FailureReport, type Failure } from '../../../../../coordinator/cli/progress/failure-report.ts';
import type { BuildResult, Frame } from '../../../../../shared/progress.ts';
import { exampleFrames, exampleResult } from '../../../../support/frames.ts';
import { FakeScreen } from '../../../../support/screen.ts';
import { temporaryDirectory } from '../../../../support/temporary-directory.ts';
import { readLog } from '../../../../support/workflow-runner.ts';

const environment = { GITHUB_ACTIONS: 'true', CI: 'true' };

async function logOf(frames: readonly Frame[], mode: 'plain' | 'rawjson' = 'plain'): Promise<string> {
  const screen = new FakeScreen({ isTTY: false });
  {
    using renderer = await createRenderer(mode, { screen, environment });
    for (const frame of frames) renderer.show(frame);
    renderer.note('::warning::of the command itself');
  }
  return screen.text;
}

function failuresOf(frames: readonly Frame[], result: BuildResult, path?: string): readonly Failure[] {
  const report = new FailureReport({
    colours: false,
    findPlace: () => (path === undefined ? undefined : { name: 'Dockerfile', path, line: 3 }),
  });
  for (const frame of frames) report.show(frame);
  return report.failures(result);
}

test('what a platform printed comes as one group at its end, what happens comes at once', async () => {
  const text = await logOf(exampleFrames);
  const lines = text
    .replace(/[0-9a-f]{32}/g, 'TOKEN')
    .trimEnd()
    .split('\n');
  assert.equal(lines, [
    '[build b1] queued',
    '[linux/amd64] queued: waiting for an agent',
    '[linux/amd64] runs on a (native)',
    '[linux/arm64/v8] runs on pi-01 (emulated), attempt 2',
    '[linux/arm64/v8 2/2] RUN make',
    '[linux/arm64/v8] WARNING: base image is old',
    '[linux/amd64] pushing',
    '::group::linux/amd64 on a (native): pushed after 2.7s',
    '::stop-commands::TOKEN',
    '[linux/amd64 internal] load build context',
    '[linux/amd64 internal] DONE 0.1s load build context',
    '[linux/amd64 1/2] FROM base',
    '[linux/amd64 1/2] CACHED',
    '[linux/amd64] push 5f70bf18a086: Pushing',
    '[linux/amd64] push 5f70bf18a086: Pushed',
    '::TOKEN::',
    '::endgroup::',
    '[linux/amd64] pushed',
    '::group::linux/arm64/v8 on pi-01 (emulated): failed after 2.7s',
    '::stop-commands::TOKEN',
    '[linux/arm64/v8 2/2] RUN make',
    '[linux/arm64/v8 2/2] 0.512 one',
    '[linux/arm64/v8 2/2] 0.512 red two',
    '[linux/arm64/v8 2/2] 0.600 30%',
    '[linux/arm64/v8 2/2] FAILED 1.5s: exit code: 2',
    '::TOKEN::',
    '::endgroup::',
    '[linux/arm64/v8] failed: make: exit code 2',
    '[publish] tag reg.example/onap/py-app:latest sha256:abc',
    '[build b1] failed: a platform failed',
    'archfarm: ::warning::of the command itself',
  ]);
});

test('a runner carries out our groups alone, each with a token of its own', async () => {
  const text = await logOf(exampleFrames);
  assert.equal(
    readLog(text).commands.map(({ name }) => name),
    ['group', 'endgroup', 'group', 'endgroup'],
  );
  const tokens = [...text.matchAll(/^::stop-commands::(\w+)$/gm)].map(([, token]) => token);
  assert.is(new Set(tokens).size, 2);
});

const attacks = [
  '::error::forged',
  '  ::set-env name=LD_PRELOAD::/tmp/x',
  '\u200B::add-mask::a',
  '\u00A0\uFEFF::stop-commands::x',
  '##[add-path]/tmp',
  'text ##[error]forged',
  '###[endgroup]',
  '\u001B[31m##[group]x',
  '#\u001B[0m#[warning]put together',
  'one\r::debug::overwritten',
  'a\u2028::error::b',
  '##[stop-commands]x',
  '::endgroup::',
];

/** The example with these texts wherever a build can put one of its own. */
function hostile(): Frame[] {
  const all = attacks.join('\n');
  return exampleFrames.map((frame): Frame => {
    if (frame.type === 'log') return { ...frame, text: all };
    if (frame.type === 'warning') return { ...frame, message: all };
    if (frame.type === 'step') return { ...frame, name: all, error: all };
    if (frame.type === 'push') return { ...frame, layer: all };
    if (frame.type === 'state') {
      return { ...frame, reason: all, ...(frame.error && { error: { ...frame.error, message: all } }) };
    }
    if (frame.type === 'result') return { ...frame, result: hostileResult() };
    return frame;
  });
}

function hostileResult(): BuildResult {
  const message = attacks.join('\n');
  const error = { code: 'build-failed', message, hint: message } as const;
  const platforms = exampleResult.platforms.map((task) => ({ ...task, agent: message, error }));
  return { ...exampleResult, name: message, error, platforms };
}

test('no output of a build is a command, and the page folds nothing of it', async () => {
  const { commands, lines } = readLog(await logOf(hostile()));
  assert.equal(new Set(commands.map(({ name }) => name)), new Set(['group', 'endgroup']));
  assert.is(commands.length, 4);
  for (const line of lines) assert.not.match(line, '##[');
  assert.ok(lines.some((line) => line.includes('## [add-path]/tmp')));
});

test('frames as JSON are none either, and stay what they are', async () => {
  const text = await logOf(hostile(), 'rawjson');
  assert.equal(readLog(text).commands, []);
  const frames = text
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.equal(frames, hostile());
});

test('the report of a failure, which is no part of a group, is text as well', () => {
  const report = new FailureReport({ colours: false });
  for (const frame of hostile()) report.show(frame);
  const text = report.text(hostileResult());
  const all = `${text}\n${attacks.join('\n')}`;
  assert.throws(() => readLog(all), 'commands stay stopped');
  assert.equal(readLog(guardIn(environment, all)).commands, []);
  assert.is(guardIn({}, all), all);
});

test('a failing step is an error at its line of the Dockerfile, with what it said last', async () => {
  await using directory = await temporaryDirectory();
  await mkdir(`${directory.path}/app`);
  await writeFile(`${directory.path}/app/Docker,file`, '');
  const github = new GitHub({ GITHUB_WORKSPACE: directory.path });
  const failures = failuresOf(exampleFrames, exampleResult, `${directory.path}/app/Docker,file`);
  assert.equal(github.annotations(failures, exampleResult), [
    '::error file=app/Docker%2Cfile,line=3,title=linux/arm64/v8 failed%3A [2/2] RUN make::make: exit code 2%0Aone%0Ared two%0A30%25',
  ]);
});

test('an error has no file where the Dockerfile is none of the repository', () => {
  const github = new GitHub({ GITHUB_WORKSPACE: '/somewhere' });
  for (const path of [undefined, '/elsewhere/Dockerfile', '/somewhere-else/Dockerfile']) {
    const [annotation = ''] = github.annotations(
      failuresOf(exampleFrames, exampleResult, path),
      exampleResult,
    );
    assert.match(annotation, /^::error title=/);
  }
});

test('an optional platform that is missing is a warning, and what kept a list from being published an error', () => {
  const github = new GitHub({});
  const [warning = ''] = github.annotations(failuresOf(exampleFrames, exampleResult), {
    ...exampleResult,
    status: 'succeeded',
  });
  assert.match(warning, /^::warning /);
  const error = { code: 'registry-denied', message: 'push refused' } as const;
  assert.equal(github.annotations([], { ...exampleResult, error }), [
    '::error title=py-app was not published::push refused',
  ]);
  assert.equal(github.annotations([], { ...exampleResult, status: 'cancelled' }), []);
});

test('an annotation is one command, whatever the build says', () => {
  const github = new GitHub({});
  const result = hostileResult();
  const log = github.annotations(failuresOf(hostile(), { ...result, status: 'failed' }), result).join('\n');
  const { commands, lines } = readLog(log);
  assert.equal(
    commands.map(({ name }) => name),
    ['error'],
  );
  assert.equal(lines, []);
  assert.not.match(commands[0]?.data ?? '', '##[');
});

test('the page of the job gets a table, what was published, and what failed', async () => {
  await using directory = await temporaryDirectory();
  const file = `${directory.path}/summary`;
  await writeFile(file, 'before\n');
  const github = new GitHub({ GITHUB_STEP_SUMMARY: file });
  await github.summarize(failuresOf(exampleFrames, exampleResult, '/x/Dockerfile'), exampleResult);
  const digest = `sha256&#58;${'a'.repeat(64)}`;
  assert.equal((await readFile(file, 'utf8')).split('\n'), [
    'before',
    '### py-app: failed',
    '',
    '| PLATFORM | AGENT | MODE | TIME | DIGEST |',
    '| --- | --- | --- | --- | --- |',
    `| linux/amd64 | a | native | 1m02s | ${digest} |`,
    '| linux/arm64/v8 | pi-01 | emulated | 1&#46;5s | failed |',
    '',
    'linux/arm64/v8 failed',
    '',
    '**linux/arm64/v8 failed on pi-01 at Dockerfile&#58;3&#58; &#91;2/2&#93; RUN make**',
    '',
    'make&#58; exit code 2',
    '',
    '```text',
    'one',
    'red two',
    '30%',
    '```',
    '',
    '',
    '',
  ]);
});

test('the page of the job has nothing of a build as Markdown or HTML', async () => {
  await using directory = await temporaryDirectory();
  const file = `${directory.path}/summary`;
  const github = new GitHub({ GITHUB_STEP_SUMMARY: file });
  const evil = '</code><img src=x> **b** [a](javascript:x) | x | @user www.evil.example `````` \n\n# h';
  const { platforms } = exampleResult;
  const result = {
    ...exampleResult,
    name: evil,
    platforms: platforms.map((task) => ({ ...task, agent: evil })),
  };
  const frames = exampleFrames.map((frame) => (frame.type === 'log' ? { ...frame, text: evil } : frame));
  await github.summarize(failuresOf(frames, result), result);
  const text = await readFile(file, 'utf8');
  const [before = '', , after = ''] = text.split('```````');
  assert.match(text, '```````text\n');
  assert.not.match(before + after, /[<>`@]|\]\(|www\.|^# h/m);
});

test('a page that cannot be written is an error that names it', async () => {
  const github = new GitHub({ GITHUB_STEP_SUMMARY: '/nonexistent/summary' });
  try {
    await github.summarize([], exampleResult);
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), /GITHUB_STEP_SUMMARY.*ENOENT/);
  }
});

test.run();
