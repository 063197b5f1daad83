/** Output of builds that strangers wrote, again and again to a coordinator that serves others, and to who reads it there. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { WebSocket } from 'ws';
import { toBuffer } from '../../../shared/channel.ts';
import { decodeToAgent } from '../../../shared/codec.ts';
import { dial } from '../../../shared/dial.ts';
import { limits } from '../../../shared/messages.ts';
import { archfarm } from '../../support/archfarm-command.ts';
import { ask } from '../../support/http-request.ts';
import { plainRecords, plainSpec } from '../../support/neighbour.ts';
import { toNotePeak } from '../../support/process-memory.ts';
import { sampleHello } from '../../support/sample-messages.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

const farm = await watchedFarm();
const directory = await temporaryDirectory();

/** What the agent of the hostile build has been told. */
let acknowledged = 0;
let offered: string | undefined;
const agent: WebSocket = dial('/v1/agent', { coordinator: farm.url, token: undefined, trust: {} });
await once(agent, 'open');
agent.on('message', (data) => {
  const message = decodeToAgent(toBuffer(data));
  if (message.type === 'acknowledge') acknowledged = message.frame;
  if (message.type === 'offer') offered = message.attempt;
});
const platforms = [{ platform: 'linux/s390x', native: true }];
agent.send(JSON.stringify(sampleHello({ name: 'loud', session: 'loud-session', platforms })));
const spec = plainSpec({ platforms: ['linux/s390x'], tags: [`${farm.registry}/onap/loud`] });
const submitted = await ask(new URL('/v1/builds', farm.url), {
  method: 'POST',
  body: { spec, directories: plainRecords },
});
const { build } = v.parse(v.object({ build: v.string() }), submitted.body);
const attempt = await until(() => offered, { what: 'the hostile build is offered' });
agent.send(JSON.stringify({ type: 'accept', attempt }));

const texts: readonly string[] = [
  '\u001b[2J\u001b[1;1Hgone',
  '\u001b]52;c;cm0gLXJm\u0007clipboard',
  '\u001b]8;;http://evil.example\u001b\\link\u001b]8;;\u001b\\',
  '\u001b]0;title\u0007',
  '\u202egpj.exe',
  'done\rfake',
  '::add-mask::x\n##[error]y\n::error file=a::z',
  '\ufffd\u0000\u0008\u009b2J',
  'x'.repeat(limits.text),
  `\u001b[31${';1'.repeat(30_000)}mred`,
];

test('output moves the cursor, sets titles, has no end and is no text [L1]', async () => {
  let frame = 0;
  await farm.unharmed({ rounds: 200, atOnce: 1 }, async (round) => {
    frame += 1;
    const text = texts[round % texts.length];
    const event = { type: 'log', time: Date.now(), step: `\u001b[2J${round % 3}`, stream: 'stdout', text };
    agent.send(JSON.stringify({ type: 'progress', attempt, frame, events: [event] }));
    await until(() => acknowledged === frame, { every: 1, what: `frame ${frame} is stored` });
  });
});

test('who reads it is shown text alone, in little memory [L1]', async () => {
  const peaks = `${directory.path}/peaks`;
  await writeFile(peaks, '');
  await farm.unharmed({ rounds: 2, first: 0, atOnce: 2 }, async (round) => {
    const command = round % 2 === 0 ? 'logs' : 'show';
    const { status, stdout, stderr } = await archfarm([command, build], {
      env: { ...farm.env, ...toNotePeak(peaks) },
    });
    assert.is(status, 0, stderr);
    assert.not(/[^\P{Cc}\n\t]|[\u202a-\u202e]/u.test(stdout + stderr), 'control characters');
    if (command === 'logs') assert.match(stdout, 'gone');
  });
  const most = Math.max(...(await readFile(peaks, 'utf8')).trim().split('\n').map(Number));
  assert.ok(most > 0 && most < 220 * 1024 * 1024, `${Math.round(most / 1024 ** 2)} MiB`);
});

test('the farm is as it was', async () => {
  agent.terminate();
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();
