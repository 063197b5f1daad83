import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { interpolate } from '../../../coordinator/project/interpolate.ts';

const environment = { HOST: 'reg.example', EMPTY: '' };

test('puts variables, defaults and alternatives in as Compose does', () => {
  const golden: [source: string, text: string][] = [
    ['plain', 'plain'],
    ['$HOST/app', 'reg.example/app'],
    ['${HOST}:5000', 'reg.example:5000'],
    ['$$HOST costs $$1', '$HOST costs $1'],
    ['${MISSING:-a}${EMPTY:-b}${HOST:-c}', 'abreg.example'],
    ['${MISSING-a}${EMPTY-b}', 'a'],
    ['${HOST:+yes}${EMPTY:+no}${EMPTY+yes}${MISSING+no}', 'yesyes'],
    ['${A:-${B:-deep}}', 'deep'],
    ['${A:-${B:-{}}}', '{}'],
    ['${HOST:?needed}', 'reg.example'],
    ['${MISSING:-}', ''],
    ['${constructor:-not a variable}', 'not a variable'],
  ];
  for (const [source, text] of golden) assert.is(interpolate(source, environment).text, text, source);
});

test('names the variables that became nothing', () => {
  assert.equal(interpolate('$A${B}${C:-c}$A', environment).unset, ['A', 'B']);
});

test('refuses what is not a variable, and says what a required one is for [C2]', () => {
  const golden: [source: string, message: RegExp][] = [
    ['${MISSING:?set the registry}', /MISSING must be set: set the registry/],
    ['${EMPTY:?}', /EMPTY must be set/],
    ['${MISSING?}', /MISSING must be set/],
    ['${', /without }/],
    ['${A', /without }/],
    ['${1A}', /invalid variable \$\{1A\}/],
    ['${A!}', /invalid variable/],
    ['cost: 5$', /\$\$ for a dollar sign/],
    ['${A:-'.repeat(30) + '}'.repeat(30), /nested too deeply/],
  ];
  for (const [source, message] of golden) assert.throws(() => interpolate(source, environment), message);
});

test.run();
