import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { frontendOf, isBelow, isDockersOwn, syntaxOf } from '../../shared/frontend.ts';

test('a frontend is found wherever some version of BuildKit looks for it [D3]', () => {
  const dockerfiles = [
    '# syntax=evil/front:1\nFROM scratch',
    '#syntax = evil/front:1',
    '  # SYNTAX=evil/front:1  \r\nFROM scratch',
    '\uFEFF# syntax=evil/front:1 with arguments\n',
    '#!/usr/bin/env front\n# syntax=evil/front:1\n',
    '# escape=`\n# check=skip=all\n# syntax=evil/front:1\n',
    '// syntax=evil/front:1\nwhatever',
    '{"syntax": "evil/front:1", "more": 1}',
    '\n {"Syntax": "evil/front:1"}',
    `${'# a=b\n'.repeat(50_000)}# syntax=evil/front:1\n`,
  ];
  for (const dockerfile of dockerfiles)
    assert.is(syntaxOf(dockerfile), 'evil/front:1', dockerfile.slice(0, 60));
});

test('a comment further down, or without a name, is none', () => {
  const dockerfiles = [
    'FROM scratch\n# syntax=evil/front:1',
    '# about\n# syntax=evil/front:1',
    '\n# syntax=evil/front:1',
    '# syntax=\nFROM scratch',
    '{"syntax": 1}',
    '{ no JSON',
    '',
  ];
  for (const dockerfile of dockerfiles) assert.is(syntaxOf(dockerfile), undefined, dockerfile);
});

test('an argument goes before the text', () => {
  assert.is(frontendOf('# syntax=docker/dockerfile:1', { BUILDKIT_SYNTAX: 'evil/front x' }), 'evil/front');
  assert.is(frontendOf('# syntax=docker/dockerfile:1', { BUILDKIT_SYNTAX: '' }), 'docker/dockerfile:1');
});

test("Docker's own frontends are told from those that look like them [D3]", () => {
  const own = [
    'docker/dockerfile',
    'docker/dockerfile:1.7-labs',
    'docker.io/docker/dockerfile:1',
    'index.docker.io/docker/dockerfile-upstream:master',
    `docker/dockerfile:1@sha256:${'a'.repeat(64)}`,
  ];
  const others = [
    'evil/dockerfile',
    'ghcr.io/docker/dockerfile:1',
    'docker/dockerfileevil',
    'docker/dockerfile/evil',
    'localhost/docker/dockerfile',
    'dockerfile',
    'docker/buildx',
    'Docker/dockerfile',
    'docker/dockerfile:1:2',
  ];
  for (const frontend of own) assert.ok(isDockersOwn(frontend), frontend);
  for (const frontend of others) assert.not.ok(isDockersOwn(frontend), frontend);
});

test('a prefix covers a namespace or one repository, and no name that only begins like it', () => {
  assert.ok(isBelow('ghcr.io/acme/front:1', 'ghcr.io/acme/'));
  assert.ok(isBelow('ghcr.io/acme/front:1', 'ghcr.io/acme/front'));
  assert.ok(isBelow('acme/front:1', 'acme/'));
  assert.ok(isBelow('docker.io/acme/front', 'acme/front'));
  assert.not.ok(isBelow('ghcr.io/acme/frontevil', 'ghcr.io/acme/front'));
  assert.not.ok(isBelow('ghcr.io/acme-evil/front', 'ghcr.io/acme'));
  assert.not.ok(isBelow('evil.io/acme/front', 'acme/'));
});

test.run();
