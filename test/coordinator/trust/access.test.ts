import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  access,
  may,
  requireOwn,
  requireRepositories,
  type Verb,
} from '../../../coordinator/trust/access.ts';
import { roles, type Principal, type Role, type User } from '../../../coordinator/trust/principal.ts';
import { parseRepositoryPrefix, isCovered } from '../../../coordinator/trust/repository-prefix.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

const agent: Principal = { type: 'agent', name: 'pi-01', repositories: [], fingerprint: 'f' };

function user(role: Role, repositories: readonly string[] = []): User {
  return { type: 'user', name: 'alice', role, repositories };
}

function isVerb(text: string): text is Verb {
  return Object.hasOwn(access, text);
}

function allowed(principal: Principal | undefined): string[] {
  return Object.keys(access)
    .filter(isVerb)
    .filter((verb) => may(principal, verb));
}

/** What each role adds to the one before. */
const expected = {
  nobody: ['dashboard', 'get-certificate', 'health'],
  known: ['version', 'whoami'],
  read: [
    'list-builds',
    'show-build',
    'read-log',
    'find-path',
    'find-publisher',
    'list-agents',
    'watch-farm',
    'show-store',
    'read-metrics',
  ],
  build: [
    'submit',
    'plan',
    'verify',
    'cancel',
    'retry',
    'amend',
    'supply-secrets',
    'complete',
    'send-context',
    'serve-ssh',
    'open-tunnel',
  ],
  admin: [
    'add-agent',
    'drain-agent',
    'resume-agent',
    'remove-agent',
    'list-users',
    'add-user',
    'remove-user',
    'read-audit',
  ],
  agent: ['join-farm', 'fetch-context', 'use-ssh', 'renew-certificate'],
};

function refusal(action: () => void): ArchfarmError {
  try {
    action();
  } catch (error) {
    if (error instanceof ArchfarmError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

test('each verb is for just those it is meant for', () => {
  const { nobody, known, read, build, admin } = expected;
  assert.equal(allowed(undefined).toSorted(), nobody);
  assert.equal(allowed(user('read')).toSorted(), [...nobody, ...known, ...read].toSorted());
  assert.equal(allowed(user('build')).toSorted(), [...nobody, ...known, ...read, ...build].toSorted());
  const all = [...nobody, ...known, ...read, ...build, ...admin];
  assert.equal(allowed(user('admin')).toSorted(), all.toSorted());
  assert.equal(allowed(agent).toSorted(), [...nobody, ...known, ...expected.agent].toSorted());
  for (const type of ['token', 'machine'] as const)
    assert.equal(allowed({ type }).toSorted(), [...all, ...expected.agent].toSorted());
});

test('roles are ordered', () => {
  assert.equal(roles, ['read', 'build', 'admin']);
});

test("an admin alone does with builds of others what is their submitters' to do", () => {
  const own = { build: 'b1', client: 'alice' };
  const foreign = { build: 'b2', client: 'bob' };
  requireOwn(user('build'), 'cancel', own);
  requireOwn(user('admin'), 'cancel', foreign);
  requireOwn({ type: 'token' }, 'cancel', foreign);
  requireOwn(user('build'), 'show-build', foreign);
  const error = refusal(() => requireOwn(user('build'), 'cancel', foreign));
  assert.is(error.code, 'forbidden');
  assert.match(error.message, 'user alice has the role build, and b2 is a build of bob');
  assert.match(error.message, 'takes the role admin');
  refusal(() => requireOwn(user('build'), 'send-context', { build: 'gone' }));
});

test('every reference must lie below what a user may publish to', () => {
  const onap = user('build', ['lab:5000/onap', 'docker.io/alice']);
  requireRepositories(onap, ['lab:5000/onap/py-app:1', 'alice/tool', 'docker.io/alice/tool:2']);
  requireRepositories(user('build'), ['anything/at/all']);
  for (const foreign of [
    'lab:5000/onap-other/x',
    'lab:5000/on',
    'lab/onap/x',
    'onap/x',
    'evil.lab:5000/onap/x',
  ]) {
    const error = refusal(() => requireRepositories(onap, ['lab:5000/onap/py-app', foreign]));
    assert.is(error.code, 'forbidden');
    assert.match(error.message, foreign);
    assert.match(error.message, 'user alice');
  }
});

test('beginnings of names are written in full', () => {
  const golden: [text: string, prefix: string][] = [
    ['onap', 'docker.io/onap'],
    ['onap/py-app', 'docker.io/onap/py-app'],
    ['docker.io', 'docker.io'],
    ['index.docker.io/', 'docker.io'],
    ['docker.io/onap/', 'docker.io/onap'],
    ['lab:5000', 'lab:5000'],
    ['localhost', 'localhost'],
    ['registry.lab/a/b/', 'registry.lab/a/b'],
    ['[::1]:5000/a', '[::1]:5000/a'],
  ];
  for (const [text, prefix] of golden) assert.is(parseRepositoryPrefix(text), prefix, text);
  for (const text of ['', '/', 'lab:5000/On', 'lab/a:tag', 'a@sha256:b', '../x', 'lab:5000/a b', '*'])
    assert.is(refusal(() => parseRepositoryPrefix(text)).code, 'usage', text);
  assert.ok(isCovered('nginx', ['docker.io/library']));
  assert.not.ok(isCovered('nginx', ['docker.io/lib']));
  for (const spelling of ['registry.lab/onap/a', 'Registry.lab:443/onap/a', 'REGISTRY.LAB/onap/a']) {
    for (const prefix of ['registry.lab', 'registry.lab/onap', 'Registry.lab:443/onap/a'])
      assert.ok(isCovered(spelling, [prefix]), `${spelling} ${prefix}`);
    for (const prefix of ['registry.lab:5000/onap', 'registry.lab/ona', 'registry', 'docker.io'])
      assert.not.ok(isCovered(spelling, [prefix]), `${spelling} ${prefix}`);
  }
});

test.run();
