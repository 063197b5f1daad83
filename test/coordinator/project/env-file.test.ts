import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readEnvFile, type EnvFile } from '../../../coordinator/project/env-file.ts';

function read(text: string, environment: Readonly<Record<string, string>> = {}): EnvFile {
  return readEnvFile(text, { path: '/app/.env', environment });
}

test('a line is read as Compose does', () => {
  const golden: [line: string, value: string][] = [
    ['A=VAL', 'VAL'],
    ['A="VAL"', 'VAL'],
    ["A='VAL'", 'VAL'],
    ['A: VAL', 'VAL'],
    ['export A=VAL', 'VAL'],
    ['  A = VAL  ', 'VAL'],
    ['A=two words', 'two words'],
    ['A=', ''],
    ['A=VAL # comment', 'VAL'],
    ['A=VAL\t#comment', 'VAL'],
    ['A= # comment', ''],
    ['A=VAL# not a comment', 'VAL# not a comment'],
    ['A=pass#word', 'pass#word'],
    ['A="VAL # not a comment"', 'VAL # not a comment'],
    ['A="VAL" # comment', 'VAL'],
    ["A='VAL # not' # comment", 'VAL # not'],
    ["A='$B ${B}'", '$B ${B}'],
    ["A='a\\n\\t'", 'a\\n\\t'],
    ["A='Let\\'s go!'", "Let's go!"],
    ['A="{\\"hello\\": \\"json\\"}"', '{"hello": "json"}'],
    ['A="some\\tvalue\\n"', 'some\tvalue\n'],
    ['A="a\\\\nb \\x \\0123"', 'a\\nb \\x S'],
    ['A="\\$B $$B"', '$B $B'],
    ['A=a$$b', 'a$b'],
    ['A=a\\nb', 'a\\nb'],
    ['A=$B-${B}-${C:-c}${C-c}', 'b-b-cc'],
    ['A="$B ${C:-c}"', 'b c'],
    ['A="one\ntwo"', 'one\ntwo'],
    ["A='one\n# two\n'", 'one\n# two\n'],
    ['A=x=y', 'x=y'],
    ['A=a"b', 'a"b'],
  ];
  for (const [line, value] of golden)
    for (const end of ['', '\n', '\r\n'])
      assert.equal(
        read(`\uFEFF# first\n\nB=b${end || '\n'}${line}${end}`).variables,
        { A: value, B: 'b' },
        line,
      );
});

test('lines see those before them, and the environment wins', () => {
  const text = 'TAG=v1\nIMAGE=app:${TAG}\nBOTH=${IMAGE}/${HOST}\nTAG=v2\nLAST=$TAG\nGIVEN\nconstructor=x';
  assert.equal(read(text, { HOST: 'lab', GIVEN: 'given' }).variables, {
    TAG: 'v2',
    IMAGE: 'app:v1',
    BOTH: 'app:v1/lab',
    LAST: 'v2',
    constructor: 'x',
  });
  assert.equal(read(text, { TAG: 'v9' }), {
    variables: { TAG: 'v9', IMAGE: 'app:v9', BOTH: 'app:v9/', LAST: 'v9', constructor: 'x' },
    unset: ['HOST'],
  });
});

test('what is no variable is refused with its line, and without its value [C1]', () => {
  const golden: [text: string, message: RegExp][] = [
    ['A=b\n\n!', /^\/app\/\.env:3: this is no variable$/],
    ['two words=x', /^\/app\/\.env:1: this is no variable$/],
    ['# a\nA="secret\nB=c', /^\/app\/\.env:2: a quoted value does not end$/],
    ['B=c\nA=secret$1', /^\/app\/\.env:2: invalid variable after \$: write \$\$/],
    ['A=secret${B', /^\/app\/\.env:1: \$\{ without \}$/],
    ['A=${B:?the registry}', /^\/app\/\.env:1: variable B must be set: the registry$/],
  ];
  for (const [text, message] of golden) assert.throws(() => read(text), message);
});

test.run();
