import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repeatCommand } from '../../../coordinator/dashboard/build/repeat-command.ts';
import { repeatFlags } from '../../../coordinator/server/repeat.ts';
import { exampleResult } from '../../support/frames.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';

const run = promisify(execFile);

/** As a shell takes the words. */
async function wordsOf(command: string): Promise<string[]> {
  const { stdout } = await run('sh', ['-c', command.replace('archfarm', String.raw`printf '%s\n'`)]);
  return stdout.split('\n').slice(0, -1);
}

test('the command to repeat a build says its Dockerfile, target and arguments, and no secret', async () => {
  const spec = sampleSpec({
    args: { VERSION: `1 "$(id)" it's`, NPM_TOKEN: 'hidden' },
    target: 'final',
    dockerfile: { ...sampleSpec().dockerfile, name: 'Dockerfile.prod' },
  });
  const command = repeatCommand({ ...exampleResult, repeat: repeatFlags(spec) });
  assert.not.match(command, 'hidden');
  const words = await wordsOf(command);
  assert.is(words[0], 'build');
  assert.is(words[1], exampleResult.name);
  const valueOf = (flag: string): string[] =>
    words.flatMap((word, at) => (word === flag ? [words[at + 1] ?? ''] : []));
  assert.equal(valueOf('-f'), ['Dockerfile.prod']);
  assert.equal(valueOf('--target'), ['final']);
  assert.equal(valueOf('--build-arg'), [`VERSION=1 "$(id)" it's`, 'NPM_TOKEN']);
  assert.equal(valueOf('-t'), exampleResult.tags);
});

test('a usual Dockerfile needs no flag', () => {
  const command = repeatCommand({ ...exampleResult, repeat: repeatFlags(sampleSpec()) });
  assert.not.match(command, / -f | --target | --build-arg /);
});

test.run();
