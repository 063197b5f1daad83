import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { frontendsIn, frontendsOf, isBelow, isDockersOwn } from '../../shared/frontend.ts';

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
    '{"SYNTAX": 1, "syntax": "evil/front:1"}',
    // Not ends of lines for BuildKit, nor for Go.
    '#!a\rb\n# syntax=evil/front:1',
    '#!a\u2028b\n# syntax=evil/front:1',
    '\uFEFF#!\n// syntax=evil/front:1',
    // A space for Go alone.
    '#\u0085syntax=evil/front:1',
    // Of one version, which took both comments and left out every line of that kind.
    '# a=b\n// c=d\n#!x\n# syntax=evil/front:1',
    `${'# a=b\n'.repeat(50_000)}# syntax=evil/front:1\n`,
  ];
  for (const dockerfile of dockerfiles)
    assert.equal(frontendsIn(dockerfile), ['evil/front:1'], dockerfile.slice(0, 60));
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
  for (const dockerfile of dockerfiles) assert.equal(frontendsIn(dockerfile), [], dockerfile);
});

test('of several, each is found: versions differ in which they take [D3]', () => {
  const own = 'docker/dockerfile:1';
  const dockerfiles = [
    // Docker 20.10 takes the last, newer ones the first.
    `# syntax=${own}\n# syntax=evil/front:1`,
    `# syntax=${own}\n# escape=\`\n# Syntax=evil/front:1\n# syntax=${own}\n`,
    `// syntax=${own}\n# syntax=evil/front:1`,
    `# syntax=${own}\n// syntax=evil/front:1`,
    `{"Syntax":"${own}","syntax":"evil/front:1"}`,
    `{"syntax":"${own}","\u017Fyntax":"evil/front:1"}`,
  ];
  for (const dockerfile of dockerfiles)
    assert.equal(frontendsIn(dockerfile), [own, 'evil/front:1'], dockerfile);
});

test('an argument goes before the text, where the engine is not too old to know it [D3]', () => {
  const args = { BUILDKIT_SYNTAX: ' docker/dockerfile:1 x' };
  assert.equal(frontendsOf('# syntax=evil/front', args), ['docker/dockerfile:1', 'evil/front']);
  assert.equal(frontendsOf('# syntax=docker/dockerfile:1', args), ['docker/dockerfile:1']);
  assert.equal(frontendsOf('# syntax=evil/front', { BUILDKIT_SYNTAX: '' }), ['evil/front']);
});

test('a megabyte of any of it is read in no time', () => {
  const hostile = [
    '# syntax=a\n'.repeat(100_000),
    ' '.repeat(1_000_000),
    `#${' '.repeat(1_000_000)}`,
    `# a${' '.repeat(1_000_000)}`,
    `# syntax=a${' '.repeat(1_000_000)}b`,
    '#!x\n'.repeat(250_000),
    '[{"a":'.repeat(160_000),
    `{"syntax":"${'a '.repeat(500_000)}"}`,
  ];
  for (const text of hostile) {
    const start = performance.now();
    frontendsIn(text);
    assert.ok(performance.now() - start < 2000, text.slice(0, 20));
  }
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
