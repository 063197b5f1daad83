import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BuildSpec } from '../../../coordinator/project/spec.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { answer, type AnswerSources } from '../../../coordinator/server/answers.ts';
import { BasePulls } from '../../../coordinator/server/base-pulls.ts';
import { Secrets } from '../../../coordinator/server/secrets.ts';
import type { Answer, Question } from '../../../shared/messages.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { dockerConfig, signedIn } from '../../support/docker-config.ts';
import { failureOf } from '../../support/failure.ts';
import { startServer } from '../../support/logged-server.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';

const { signal } = new AbortController();
const attempt = { build: 'b1', platform: 'linux/amd64', number: 1 };

function sources(registries: Registries, spec: BuildSpec): AnswerSources {
  return {
    registries,
    secrets: new Secrets(),
    basePulls: new BasePulls(),
    spec: (build) => (build === attempt.build ? spec : undefined),
  };
}

function typeOf(given: Answer): string {
  return given.kind === 'auth' ? given.auth.type : given.kind;
}

test('a push also reads the private bases that its build pulled, and asks for no more than that', async () => {
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret' });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const { host } = registry;
  const from = sources(registries, sampleSpec({ tags: [`${host}/onap/app:1`] }));
  const ask = (question: Question, build = 'b1'): Promise<Answer> =>
    answer({ attempt: { ...attempt, build }, question }, from, signal);

  assert.equal(await ask({ kind: 'pull-scheme', host }), { kind: 'pull-scheme', scheme: 'bearer' });
  assert.equal(tokens.asked, []);
  const pulled = await ask({ kind: 'pull-auth', host, repositories: ['team/base'] });
  assert.ok(pulled.kind === 'auth' && pulled.auth.type === 'bearer');
  assert.ok((pulled.auth.lifetime ?? 0) > 290_000 && (pulled.auth.lifetime ?? 0) <= 300_000);
  assert.is(
    typeOf(await ask({ kind: 'pull-auth', host: 'other.invalid', repositories: ['x'] })),
    'anonymous',
  );
  assert.is(typeOf(await ask({ kind: 'push-auth' })), 'bearer');
  assert.equal(tokens.asked, [
    ['repository:team/base:pull'],
    ['repository:onap/app-amd64:pull,push', 'repository:team/base:pull'],
  ]);
  assert.is((await failureOf(ask({ kind: 'pull-scheme', host }, 'ended'))).code, 'not-found');
});

test('what a registry takes is not asked of one without credentials', async () => {
  await using config = await dockerConfig({});
  await using registries = new Registries({ configDirectory: config.path });
  const from = sources(registries, sampleSpec());
  for (const host of ['other.invalid', 'registry-1.docker.io']) {
    const given = await answer({ attempt, question: { kind: 'pull-scheme', host } }, from, signal);
    assert.equal(given, { kind: 'pull-scheme', scheme: 'anonymous' });
  }
});

test('a base that the token server refuses is an error that names it, and no push reads it', async () => {
  const refuse = (scope: string): boolean => scope.startsWith('repository:team/vault:');
  await using tokens = await startTokenServer({ username: 'bob', password: 'secret', refuse });
  await using registry = await startRegistry({ auth: tokens.registryAuth });
  await using config = await signedIn(registry.host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path });
  const from = sources(registries, sampleSpec({ tags: [`${registry.host}/onap/app`] }));
  const question = { kind: 'pull-auth', host: registry.host, repositories: ['team/vault'] } as const;
  const error = await failureOf(answer({ attempt, question }, from, signal));
  assert.is(error.code, 'registry-denied');
  assert.match(error.message, `pull from ${registry.host}/team/vault`);
  await answer({ attempt, question: { kind: 'push-auth' } }, from, signal);
  assert.equal(tokens.asked.at(-1), ['repository:onap/app-amd64:pull,push']);
});

test('where agents are given no passwords, neither a pull nor a push gets one, and the error says why', async () => {
  await using server = await startServer((_, response) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
  });
  const { host } = server;
  await using config = await signedIn(host, 'bob:secret');
  await using registries = new Registries({ configDirectory: config.path, grantPasswords: false });
  const from = sources(registries, sampleSpec({ tags: [`${host}/onap/app`] }));
  const questions: Question[] = [{ kind: 'push-auth' }, { kind: 'pull-auth', host, repositories: [] }];
  for (const question of questions) {
    const error = await failureOf(answer({ attempt, question }, from, signal));
    assert.is(error.code, 'registry-denied');
    assert.match(error.message, host);
    assert.match(error.hint ?? '', '--no-passwords-to-agents');
    assert.not.match(JSON.stringify(error), 'secret');
  }
});

test.run();
