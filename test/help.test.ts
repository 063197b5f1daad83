import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { below, errorOf, pathOf, programNames, programOf } from './support/command-grammar.ts';
import { shellCommands } from './support/shell-commands.ts';

/** Commands and flags that scripts may count on, whatever else there is. */
const contract = `
archfarm --coordinator --token-file --quiet --version
archfarm build -t --tag -f --file --platform --optional --build-arg --target --label --annotation --secret --ssh --no-cache
  --pull --network --cache-from --cache-to --suffix --type --test --verify --verify-run --allow-emulation --wait-agent
  --timeout --force --detach --dry-run --project --agent-label --priority --attestations --child-tags --progress
  --metadata-file --iidfile
archfarm serve --listen --data --tls-cert --tls-key --client-ca --insecure-registry --registry-config --registry-ca
  --no-passwords-to-agents --max-queued
archfarm agents ls --json
archfarm agents add
archfarm agents drain
archfarm agents resume
archfarm agents rm
archfarm builds --json
archfarm show --json
archfarm logs -f
archfarm attach
archfarm cancel
archfarm retry --context
archfarm amend --platform --context
archfarm verify --run
archfarm inspect --verbose --raw --insecure-registry
archfarm platforms --insecure-registry
archfarm manifest create --insecure-registry
archfarm manifest annotate
archfarm manifest inspect --insecure-registry
archfarm manifest push --insecure-registry
archfarm manifest rm
archfarm push from-spec --ignore-missing --insecure-registry
archfarm push from-args --ignore-missing --insecure-registry
archfarm pushml --ignore-missing --insecure-registry
archfarm doctor
archfarm-agent --version
archfarm-agent run --coordinator --token-file --name --platform --slots --weight --label --data --docker
archfarm-agent join
archfarm-agent install
archfarm-agent status
archfarm-agent doctor`;

const all = programNames.map(programOf).flatMap((program) => [program, ...below(program)]);

/** With what follows it. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (written) => (text += written) });
  command.outputHelp();
  return text;
}

const helps = new Map(all.map((command) => [pathOf(command), helpOf(command)]));

test('the commands and flags of the contract are there', () => {
  for (const line of contract.replaceAll('\n  ', ' ').trim().split('\n')) {
    const words = line.split(' ');
    const path = words.filter((word) => !word.startsWith('-')).join(' ');
    const command = all.find((each) => pathOf(each) === path);
    assert.ok(command, path);
    for (const flag of words.filter((word) => word.startsWith('-'))) {
      assert.ok(
        command.options.some(({ short, long }) => flag === short || flag === long),
        `${path} ${flag}`,
      );
    }
  }
});

test('every command, flag and argument says what it is for', () => {
  for (const command of all) {
    const path = pathOf(command);
    assert.ok(command.description(), path);
    for (const option of command.options)
      assert.ok(option.hidden || option.description, `${path} ${option.flags}`);
    for (const argument of command.registeredArguments)
      assert.ok(argument.description, `${path} ${argument.name()}`);
  }
});

test('help of every command ends with examples of itself, and the program takes them', async () => {
  const examples = [...helps].flatMap(([path, help]) => {
    const [, block = ''] = /\nExamples?:\n((?: {2}.+\n)+)$/.exec(help) ?? [];
    const lines = block.split('\n').slice(0, -1);
    assert.ok(lines.length > 0, `${path} has no example`);
    // Where nothing else is said `agents ls` is meant, as others that are the default.
    const own = path.replace(/ ls$/, '');
    for (const line of lines) assert.ok(`${line.trim()} `.includes(`${own} `), `${path}: ${line}`);
    return lines;
  });
  const commands = await shellCommands(examples.join('\n'));
  assert.is(commands.length, examples.length);
  for (const command of commands) assert.is(errorOf(command), undefined);
});

test('help of every command of archfarm tells of the flags that all have', () => {
  for (const [path, help] of helps)
    if (path.startsWith('archfarm ')) assert.match(help, /^ {2}--coordinator <url>/m, path);
});

test('environment variables that help names are read by something', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = await Promise.all(
    ['agent', 'coordinator', 'shared'].map(async (part) =>
      (await readdir(`${root}/${part}`, { recursive: true })).map((file) => `${root}/${part}/${file}`),
    ),
  );
  const sources = files.flat().filter((file) => file.endsWith('.ts'));
  const code = (await Promise.all(sources.map((file) => readFile(file, 'utf8')))).join('\n');
  const named = new Set([...helps.values()].join('\n').match(/\b(?:ARCHFARM|DOCKER)_[A-Z_]+/g));
  assert.ok(named.size > 10, String(named.size));
  for (const name of named) {
    // A text of its own, or a name among others in an environment that is made.
    assert.match(code, new RegExp(`'${name}'|^ *${name}: `, 'm'), name);
  }
});

test('what is no command line of ours is none to these tests', async () => {
  const wrong = [
    'archfarm buidl',
    'archfarm build --platfrom x',
    'archfarm show',
    'archfarm-agent run it',
    'archfarm',
  ];
  for (const command of await shellCommands(wrong.join('\n')))
    assert.type(errorOf(command), 'string', command.args.join(' '));
  const found = await shellCommands(
    `sudo archfarm verify x --run 'uname -m' | head\nx=$(archfarm --version)`,
  );
  // The parts of a pipe come at the same time.
  const [head, quoted] = found.slice(0, 2).toSorted((a, b) => a.args.length - b.args.length);
  assert.equal(head, { program: 'head', args: [] });
  assert.equal(quoted, { program: 'archfarm', args: ['verify', 'x', '--run', 'uname -m'] });
  assert.equal(found[2], { program: 'archfarm', args: ['--version'] });
});

test.run();
