import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allowFlag, demandsOf, parsePolicy, refusedBy } from '../../shared/policy.ts';

const harmless = { network: undefined, extraHosts: [], ssh: [], frontends: [] };
const everything = {
  network: 'host',
  extraHosts: ['db:10.0.0.1'],
  ssh: ['default'],
  frontends: ['docker/dockerfile:1', 'acme/front:1', 'acme/front:1'],
};

test('what every agent allows is no demand', () => {
  assert.equal(demandsOf(harmless), []);
  assert.equal(demandsOf({ ...harmless, network: 'none', frontends: ['docker/dockerfile:1'] }), []);
});

test('an agent refuses what it does not allow, by default all of it', () => {
  const demands = demandsOf(everything);
  assert.equal(demands, ['network-host', 'extra-hosts', 'ssh', 'frontend=acme/front:1']);
  assert.equal(refusedBy([], demands), demands);
  assert.equal(refusedBy(['ssh', 'frontend=acme/'], demands), ['network-host', 'extra-hosts']);
  assert.equal(refusedBy(['all'], demands), []);
  assert.equal(refusedBy(undefined, demands), []);
  assert.is(allowFlag(['ssh', 'network-host']), '--allow ssh,network-host');
});

test('a policy names only what there is', () => {
  assert.equal(parsePolicy(['ssh', 'frontend=ghcr.io/acme/', 'ssh'], '--allow'), [
    'ssh',
    'frontend=ghcr.io/acme/',
  ]);
  for (const stray of ['host', 'SSH', 'frontend=', 'frontend=a b', '']) {
    assert.throws(() => parsePolicy([stray], '--allow'), /--allow: a build cannot be allowed/, stray);
  }
});

test.run();
