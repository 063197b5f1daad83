/** Messages that come twice, late, or in another order than they were said, and those of another version. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { agentProtocol, agentState } from '../support/chaos-builds.ts';
import { amd64, arm64, startLab } from '../support/chaos-lab.ts';
import { startMessageProxy, type MessageProxy, type Treatment } from '../support/message-proxy.ts';
import { until } from '../support/until.ts';
import { rowsOf } from './row.ts';

let proxy: MessageProxy | undefined;
const lab = await startLab({
  emulated: true,
  before: async (coordinator) => (proxy = await startMessageProxy(coordinator)),
});
const row = rowsOf(lab);
const agents = ['a', 'b'].map((name) => ({ name, ...lab.agent(name) }));

/** A connection begins with these, and with nothing else. */
const greetings = new Set(['hello', 'welcome']);

async function buildThrough(name: string, treatment: Treatment): Promise<void> {
  proxy?.treat((type) => (greetings.has(type) ? [0] : treatment(type)));
  try {
    const order = await lab.order(name, { platforms: [amd64, arm64], padding: 50_000 });
    await using build = lab.start(order);
    const { status, stderr, result } = await build.ended();
    assert.is(status, 0, stderr);
    for (const { platform, attempts } of result.platforms) assert.ok(attempts.length <= 3, platform);
  } finally {
    proxy?.treat(() => [0]);
  }
}

row('F48twice: messages that come twice say no more than once', (name) => buildThrough(name, () => [0, 1]));

row('F48again: messages that come again much later say nothing new', (name) =>
  buildThrough(name, () => [0, 3_000]),
);

row('F48order: messages that overtake each other come to the same end', (name) =>
  buildThrough(name, () => [1 + Math.random() * 60]),
);

/**
 * The first few of each of these types: one connection keeps its messages in order, so a coordinator has what comes
 * too early told again on another, and would for ever if that were no better.
 */
function lateAtFirst(types: readonly string[]): Treatment {
  const seen = new Map<string, number>();
  return (type) => {
    const before = seen.get(type) ?? 0;
    seen.set(type, before + 1);
    return [types.includes(type) && before < 3 ? 3_000 : 0];
  };
}

/** Together where one build can show them all; with --full each alone. */
const late =
  process.env['ARCHFARM_TEST_FULL'] === '1'
    ? ['offer', 'accept', 'progress', 'acknowledge', 'report', 'settle', 'answer', 'ask'].map((type) => [
        type,
      ])
    : [
        ['offer', 'progress', 'answer'],
        ['accept', 'acknowledge', 'report'],
        ['ask', 'settle'],
      ];

for (const types of late) {
  row(
    `F48${types.join('_')}: ${types.join(', ')} messages that come late come to the same end`,
    async (name) => {
      const before = types.map((type) => proxy?.seen.get(type) ?? 0);
      await buildThrough(name, lateAtFirst(types));
      for (const [index, type] of types.entries()) {
        assert.ok((proxy?.seen.get(type) ?? 0) > (before[index] ?? 0), `there was no ${type}`);
      }
    },
  );
}

/** Both agents dial again, and say that they speak this version. */
function speak(protocol: number): void {
  proxy?.rewrite((message) => {
    if (message['type'] !== 'hello') return message;
    // Version 3 brought it.
    const { policy: _policy, ...older } = message;
    return { ...(protocol < PROTOCOL_VERSION ? older : message), protocol };
  });
  for (const { link } of agents) link.cut();
}

/** Until the coordinator takes both for agents of this version that are in this state. */
async function are(state: string, protocol: number): Promise<void> {
  for (const { name } of agents) {
    const isSo = async (): Promise<boolean> =>
      (await agentState(lab, name)) === state && (await agentProtocol(lab, name)) === protocol;
    await until(isSo, { timeout: 60_000, every: 50, what: `${name} is ${state}, protocol ${protocol}` });
  }
}

row(
  'F11: agents of the version before build, and those of the next are told both versions and dial on',
  async (name) => {
    const older = PROTOCOL_VERSION - 1;
    const newer = PROTOCOL_VERSION + 1;
    try {
      speak(older);
      await are('ready', older);
      const order = await lab.order(name);
      await using build = lab.start(order);
      const { status, stderr } = await build.ended();
      assert.is(status, 0, stderr);

      speak(newer);
      for (const { service } of agents) {
        const told = new RegExp(
          `agent speaks protocol ${newer}, coordinator \\S+ speaks .*${PROTOCOL_VERSION}`,
        );
        const isTold = async (): Promise<boolean> => told.test(await service.logs());
        await until(isTold, { timeout: 60_000, every: 50, what: 'the agent is told both versions' });
      }
      await are('offline', older);
    } finally {
      proxy?.rewrite();
    }
    await are('ready', PROTOCOL_VERSION);
  },
);

test('gives everything back', async () => {
  await lab[Symbol.asyncDispose]();
});

test.run();
