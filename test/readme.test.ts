import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../coordinator/cli/program.ts';

const signal = AbortSignal.abort();

/** Of a command and all below it. */
function flagsOf(command: Command): string[] {
  return [...command.options.flatMap(({ long }) => long ?? []), ...command.commands.flatMap(flagsOf)];
}

test('commands and flags of archfarm that the README shows exist', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const program = createProgram({ signal, second: () => signal, exit: () => {} });
  const known = new Set(['--help', ...flagsOf(program)]);
  const verbs = new Set(program.commands.flatMap((each) => [each.name(), ...each.aliases()]));
  const shown = [...readme.matchAll(/(?:^ {4}|[`$(] ?|&& )archfarm ([a-z]+)([^`\n|#]*)/gm)];
  assert.ok(shown.length > 25, String(shown.length));
  for (const [line, verb = '', rest = ''] of shown) {
    assert.ok(verbs.has(verb), line);
    for (const flag of rest.match(/--[a-z][a-z-]+/g) ?? []) assert.ok(known.has(flag), `${flag} in ${line}`);
  }
});

test.run();
