import { execFile } from 'node:child_process';
import { access, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { complete, type Sources } from '../../../coordinator/cli/completion.ts';
import { completionScripts } from '../../../coordinator/cli/completion-scripts.ts';
import { createProgram } from '../../../coordinator/cli/program.ts';
import { archfarmCommand } from '../../../scripts/rig/farm.ts';
import { runningCoordinator, testToken } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const run = promisify(execFile);
const none = async (): Promise<string[]> => [];
const nothing: Sources = { app: none, agent: none, build: none };

async function offered(line: string, sources: Partial<Sources> = {}): Promise<string[]> {
  const signal = AbortSignal.abort();
  const program = createProgram({ signal, second: () => signal, exit: () => {} });
  return complete(program, line.split(' ').slice(1), () => ({ ...nothing, ...sources }));
}

test('commands, flags and their values come from the command line itself', async () => {
  assert.equal(await offered('archfarm bu'), ['build', 'builds']);
  assert.ok((await offered('archfarm ')).includes('completion'));
  assert.not.ok((await offered('archfarm ')).some((verb) => verb.startsWith('_')));
  assert.equal(await offered('archfarm build --allow'), ['--allow-emulation']);
  assert.ok((await offered('archfarm build --co')).includes('--coordinator'), 'global ones too');
  assert.equal(await offered('archfarm build --progress '), ['auto', 'tty', 'plain', 'rawjson', 'quiet']);
  assert.equal(await offered('archfarm build --progress = pl'), ['plain'], 'as bash takes it apart');
  const modes = ['auto', 'tty', 'plain', 'rawjson', 'quiet'];
  assert.equal(await offered('archfarm build --progress ='), modes, 'as bash does before there is a value');
  assert.equal(await offered('archfarm build --progress=pl'), ['--progress=plain'], 'as others leave it');
  assert.equal(
    await offered('archfarm build --progress='),
    modes.map((mode) => `--progress=${mode}`),
  );
  assert.equal(await offered('archfarm build --tag='), []);
  assert.equal(await offered('archfarm build --tag ='), []);
  assert.equal(await offered('archfarm manifest an'), ['annotate']);
  assert.equal(await offered('archfarm completion '), []);
});

test('arguments are looked up where they are', async () => {
  const app = async (): Promise<string[]> => ['py-app', 'web'];
  const agent = async (): Promise<string[]> => ['pi-01', 'rack-07'];
  const build = async (): Promise<string[]> => ['1r0', '1r1'];
  assert.equal(await offered('archfarm build p', { app }), ['py-app']);
  assert.equal(await offered('archfarm build --tag x:1 ', { app }), ['py-app', 'web']);
  assert.equal(await offered('archfarm build py-app ', { app }), [], 'one is enough');
  assert.equal(await offered('archfarm build --tag ', { app }), [], 'the value of a flag is none');
  assert.equal(await offered('archfarm agents drain r', { agent }), ['rack-07']);
  for (const verb of ['show', 'logs', 'attach', 'cancel', 'retry', 'amend']) {
    assert.equal(await offered(`archfarm ${verb} 1r1`, { build }), ['1r1'], verb);
  }
});

test('bash completes from the project file and a coordinator, and stays silent without one', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent({ name: 'pi-01' });
  await agent.wait('welcome');
  const build = await submitBuild(running);
  await using directory = await temporaryDirectory();
  const bin = join(directory.path, 'bin');
  await mkdir(bin);
  await symlink(archfarmCommand, join(bin, 'archfarm'));
  await writeFile(join(directory.path, 'compose.yaml'), 'services: {py-app: {image: x, build: .}}\n');
  const pressTab = async (line: string, coordinator: string): Promise<string[]> => {
    const words = line.split(' ');
    const script = `
      source <(archfarm completion bash)
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
      _archfarm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run('bash', ['--norc', '-c', script], {
      cwd: directory.path,
      env: {
        PATH: `${bin}:${process.env['PATH']}`,
        ARCHFARM_COORDINATOR: coordinator,
        ARCHFARM_TOKEN: testToken,
      },
    });
    assert.is(stderr, '');
    return stdout.split('\n').filter((word) => word !== '');
  };
  const { href } = running.url;
  assert.equal(await pressTab('archfarm build py', href), ['py-app']);
  assert.equal(await pressTab('archfarm agents drain ', href), ['pi-01']);
  assert.equal(await pressTab(`archfarm show ${build.slice(0, 3)}`, href), [build]);
  assert.equal(await pressTab('archfarm show ', 'http://127.0.0.1:9'), []);
  assert.ok((await pressTab('archfarm build --progress =', href)).includes('plain'));
});

test('scripts are what their shells take', async () => {
  await run('bash', ['-n', '-c', completionScripts.bash]);
  for (const shell of ['zsh', 'fish'] as const) {
    // These are on some machines only.
    const path = `/usr/bin/${shell}`;
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      await run(path, ['-n', '-c', completionScripts[shell]]);
  }
});

test.run();
