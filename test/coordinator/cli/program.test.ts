import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../../coordinator/cli/program.ts';
import { createRegistryProgram } from '../../../coordinator/cli/registry-program.ts';

interface Parsed {
  readonly printed: string;
  readonly error: unknown;
}

/** Parses a command line; none of those below gets as far as an action that does something. */
async function parse(line: string): Promise<Parsed> {
  let printed = '';
  const write = (text: string): void => {
    printed += text;
  };
  const signal = AbortSignal.abort();
  const program = createProgram({ signal, second: () => signal, exit: () => {} });
  const capture = (command: Command): void => {
    command.configureOutput({ writeOut: write, writeErr: write });
    command.commands.forEach(capture);
  };
  capture(program);
  try {
    await program.parseAsync(line.split(' '), { from: 'user' });
    return { printed, error: undefined };
  } catch (error) {
    return { printed, error };
  }
}

test('errors of the parser read like all others, with what was probably meant', async () => {
  const golden: [line: string, printed: string][] = [
    ['biuld', "archfarm: unknown command 'biuld'\n  did you mean build?\n"],
    ['build --platfrom x', "archfarm: unknown option '--platfrom'\n  did you mean --platform?\n"],
    ['build --suffix x', "archfarm: option '--suffix <where>' argument 'x' is invalid. Allowed choices are repo, tag.\n"],
    ['builds --limit 0', "archfarm: option '--limit <n>' argument '0' is invalid. It must be a number from 1 to 1000.\n"],
    ['inspect a --raw --verbose', "archfarm: option '--raw' cannot be used with option '--verbose'\n"],
    ['--plain-http push from-spec x', "archfarm: unknown option '--plain-http'\n  flags of manifest-tool are those of push, and come after it: archfarm push --plain-http from-spec FILE\n"],
    ['show', "archfarm: missing required argument 'id'\n"],
  ]; // prettier-ignore
  for (const [line, printed] of golden) assert.is((await parse(line)).printed, printed);
});

test('values of flags are checked before anything is done', async () => {
  const golden: [line: string, error: RegExp][] = [
    ['build --platform armv7', /unknown platform "armv7"/],
    ['build --wait-agent soon', /--wait-agent "soon" is not a duration/],
    ['serve --listen 7480', /invalid address to listen on/],
    ['agents --coordinator ftp://x', /invalid coordinator address/],
    [
      'push --username bob --password x from-spec y',
      /--password is not taken: who else is on this machine sees/,
    ],
    ['pushml --username bob y', /--username is not taken/],
    ['push --docker-cfg a --registry-config b from-spec y', /say the same: give one of them/],
    ['builds --coordinator x --token-file /nowhere', /cannot read the token file \/nowhere: ENOENT/],
  ];
  for (const [line, error] of golden) assert.match(String((await parse(line)).error), error);
});

test('what is started as the smaller program is all that it has, and is there as in the whole one', () => {
  const signal = AbortSignal.abort();
  const context = { signal, second: () => signal, exit: () => {} };
  const small = createRegistryProgram(context).commands;
  const launcher = new URL('../../../scripts/build/launcher.cjs', import.meta.url);
  const [, listed = ''] = /new Set\(\[(.*)\]\)/.exec(readFileSync(launcher, 'utf8')) ?? [];
  assert.equal(
    listed.split(', ').map((name) => name.slice(1, -1)),
    small.map((command) => command.name()).toSorted(),
  );
  const whole = createProgram(context).commands;
  const help = (command: Command): string =>
    [command, ...command.commands].map((each) => each.helpInformation()).join();
  for (const command of small) {
    const same = whole.find((each) => each.name() === command.name());
    assert.is(same === undefined ? '' : help(same), help(command));
  }
});

test.run();
