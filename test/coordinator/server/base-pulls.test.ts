import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BasePulls } from '../../../coordinator/server/base-pulls.ts';

test('knows each repository of a build once, under the name that references write', () => {
  const pulls = new BasePulls();
  pulls.note('b1', { host: 'registry-1.docker.io', repositories: ['library/python'] });
  pulls.note('b1', { host: 'registry.lab:5000', repositories: ['a', 'b/c'] });
  pulls.note('b1', { host: 'registry.lab:5000', repositories: ['a'] });
  pulls.note('b2', { host: 'registry.lab:5000', repositories: ['d'] });
  assert.equal(pulls.of('b1'), ['docker.io/library/python', 'registry.lab:5000/a', 'registry.lab:5000/b/c']);
  assert.equal(pulls.of('b3'), []);
  pulls.forget('b1');
  assert.equal(pulls.of('b1'), []);
  assert.equal(pulls.of('b2'), ['registry.lab:5000/d']);
});

test('an agent that asks for everything does not make tokens endless', () => {
  const pulls = new BasePulls();
  const repositories = Array.from({ length: 100 }, (_, index) => `r${index}`);
  for (const repository of repositories) pulls.note('b1', { host: 'h', repositories: [repository] });
  assert.is(pulls.of('b1').length, 20);
});

test.run();
