import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseChallenges } from '../../../coordinator/registry/challenge.ts';

function read(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

test('reads a token challenge whose values hold commas and escapes', () => {
  assert.equal(
    read(
      String.raw`Bearer realm="https://a.example/t?x=1,2",service="a \"b\"", scope="repository:x:pull,push"`,
    ),
    [['bearer', { realm: 'https://a.example/t?x=1,2', service: 'a "b"', scope: 'repository:x:pull,push' }]],
  );
});

test('reads several challenges in one header, whatever their case and spacing', () => {
  assert.equal(read('Negotiate, BASIC Realm = "r" ,charset=utf-8, Bearer realm="https://t"'), [
    ['negotiate', {}],
    ['basic', { realm: 'r', charset: 'utf-8' }],
    ['bearer', { realm: 'https://t' }],
  ]);
  assert.equal(
    read('Negotiate YIIZ==, Basic realm="r"').filter(([scheme]) => scheme === 'basic'),
    [['basic', { realm: 'r' }]],
  );
});

test('takes the first of a repeated parameter and survives nonsense', () => {
  assert.equal(read('Bearer realm="a", realm="b"'), [['bearer', { realm: 'a' }]]);
  for (const text of ['', ',,,', '="x"', 'Bearer realm="open', 'Bearer realm=', '\u0000\u0001', 'a=b=c=d']) {
    assert.not.throws(() => read(text));
  }
  assert.equal(read('Bearer realm="never closed'), read('Bearer realm="never closed'));
});

test('is linear and bounded on hostile headers [R4]', () => {
  const start = performance.now();
  for (const piece of ['"', '\\', 'a=', 'a="', ' ', 'a ', 'a,', '="']) read(piece.repeat(500_000));
  assert.ok(performance.now() - start < 1_000);
  assert.ok(parseChallenges('a '.repeat(10_000)).length <= 16);
  const many = `Bearer ${Array.from({ length: 1000 }, (_, index) => `p${index}=1`).join(',')}`;
  assert.ok((parseChallenges(many)[0]?.parameters.size ?? 0) <= 32);
});

test.run();
