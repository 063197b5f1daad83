import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArchfarmError } from '../../shared/errors.ts';
import {
  formatReference,
  isDigest,
  parseReference,
  suffixedReference,
  withDefaultTag,
} from '../../shared/reference.ts';

const sha256 = `sha256:${'a1'.repeat(32)}`;
const sha512 = `sha512:${'b2'.repeat(64)}`;

/** Registry, repository, and tag or digest as they are written after it. */
const right: [text: string, registry: string, repository: string, rest?: string][] = [
  ['py', 'docker.io', 'library/py'],
  ['py:3.11', 'docker.io', 'library/py', ':3.11'],
  ['docker.io/py', 'docker.io', 'library/py'],
  ['index.docker.io/py', 'docker.io', 'library/py'],
  ['docker.io/library/py', 'docker.io', 'library/py'],
  ['docker.io/onap/py', 'docker.io', 'onap/py'],
  ['onap/py-app', 'docker.io', 'onap/py-app'],
  ['onap/py-app:latest', 'docker.io', 'onap/py-app', ':latest'],
  ['onap/deep/py-app', 'docker.io', 'onap/deep/py-app'],
  ['localhost/py', 'localhost', 'py'],
  ['localhost/py:5000', 'localhost', 'py', ':5000'],
  ['localhost:5000/py', 'localhost:5000', 'py'],
  ['localhost:5000/onap/py:1', 'localhost:5000', 'onap/py', ':1'],
  ['127.0.0.1:5000/py', '127.0.0.1:5000', 'py'],
  ['10.0.0.1/py', '10.0.0.1', 'py'],
  ['[::1]/py', '[::1]', 'py'],
  ['[::1]:5000/py:t', '[::1]:5000', 'py', ':t'],
  ['[2001:DB8::7]:443/onap/py', '[2001:DB8::7]:443', 'onap/py'],
  ['ghcr.io/onap/py', 'ghcr.io', 'onap/py'],
  ['ghcr.io/py', 'ghcr.io', 'py'],
  ['Registry.Example/py', 'Registry.Example', 'py'],
  ['UPPER/py', 'UPPER', 'py'],
  ['a.b-c.d/py', 'a.b-c.d', 'py'],
  ['nexus:8443/a/b/c/d', 'nexus:8443', 'a/b/c/d'],
  ['py.app', 'docker.io', 'library/py.app'],
  ['py_app', 'docker.io', 'library/py_app'],
  ['py__app', 'docker.io', 'library/py__app'],
  ['py---app', 'docker.io', 'library/py---app'],
  ['a/b.c/d_e/f__g/h-i', 'docker.io', 'a/b.c/d_e/f__g/h-i'],
  ['py:T_a.g-1', 'docker.io', 'library/py', ':T_a.g-1'],
  ['py:_', 'docker.io', 'library/py', ':_'],
  [`py:${'t'.repeat(128)}`, 'docker.io', 'library/py', `:${'t'.repeat(128)}`],
  [`py@${sha256}`, 'docker.io', 'library/py', `@${sha256}`],
  [`py:1@${sha256}`, 'docker.io', 'library/py', `:1@${sha256}`],
  [`h.io/py@${sha512}`, 'h.io', 'py', `@${sha512}`],
  [`h.io/${'n'.repeat(250)}`, 'h.io', 'n'.repeat(250)],
];

const wrong = [
  '',
  ' ',
  'py app',
  'Py',
  'onap/Py-App',
  'localhost:5000/PY',
  ':tag',
  'py:',
  'py:-tag',
  'py:.tag',
  `py:${'t'.repeat(129)}`,
  'py:a:b',
  'py@',
  'py@sha256:abc',
  `py@sha256:${'A1'.repeat(32)}`,
  `py@md5:${'a'.repeat(32)}`,
  `py@${sha256}:tag`,
  'py/',
  '/py',
  'onap//py',
  '-py',
  'py-',
  'py___app',
  'py..app',
  'a.b/-py',
  'https://h.io/py',
  'h.io:port/py',
  'localhost:99999/py',
  '[::1]:65536/py',
  '[::1/py',
  '[zz]/py',
  '-h.io/py',
  'h.io-/py',
  'h_o.io:1/py',
  'py\n',
  'py:1\n',
  'pý',
  '../py',
  `h.io/${'n'.repeat(251)}`,
  'n'.repeat(300),
];

test('references are read as the registries read them [R1]', () => {
  for (const [text, registry, repository, rest = ''] of right) {
    const reference = parseReference(text);
    assert.is(reference.registry, registry, text);
    assert.is(reference.repository, repository, text);
    assert.is(formatReference(reference), `${registry}/${repository}${rest}`, text);
    assert.equal(parseReference(formatReference(reference)), reference, text);
  }
});

test('what is no reference is a usage error that names it [R1]', () => {
  for (const text of wrong) {
    let thrown: unknown;
    try {
      parseReference(text);
    } catch (error) {
      thrown = error;
    }
    assert.ok(thrown instanceof ArchfarmError, `${JSON.stringify(text)} was taken`);
    assert.is(thrown.code, 'usage');
    assert.match(thrown.message, JSON.stringify(text));
  }
});

test('the hint says lower case where that is what is wrong', () => {
  const hintOf = (text: string): string => {
    try {
      parseReference(text);
    } catch (error) {
      if (error instanceof ArchfarmError) return error.hint ?? '';
    }
    return '';
  };
  assert.is(hintOf('onap/Py-App:1'), 'repository names are lower case');
  assert.is(hintOf('localhost:5000/PY'), 'repository names are lower case');
  assert.is(hintOf('https://localhost:5000/py'), 'it is no URL: leave out https://');
  assert.match(hintOf('h.io/py:-Tag'), /^the form is /);
});

test('a text of any length is answered at once', () => {
  const start = performance.now();
  for (const text of [
    'a-'.repeat(50_000),
    'a'.repeat(100_000),
    `${'a.'.repeat(50_000)}/`,
    `[${':'.repeat(100_000)}`,
  ])
    assert.throws(
      () => parseReference(text),
      (error: unknown) => error instanceof ArchfarmError && error.message.length < 1000,
    );
  assert.ok(performance.now() - start < 1000);
});

test('the default tag is for references that name nothing else', () => {
  assert.is(formatReference(withDefaultTag(parseReference('py'))), 'docker.io/library/py:latest');
  assert.is(withDefaultTag(parseReference('py:1')).tag, '1');
  assert.is(withDefaultTag(parseReference(`py@${sha256}`)).tag, undefined);
});

test('a platform suffix goes on the repository or on the tag, within the limits of both', () => {
  const reference = parseReference('h.io/onap/py-app:1.0');
  const at = (where: 'repo' | 'tag'): string =>
    formatReference(suffixedReference(reference, 'arm64v8', where));
  assert.is(at('repo'), 'h.io/onap/py-app-arm64v8:1.0');
  assert.is(at('tag'), 'h.io/onap/py-app:1.0-arm64v8');
  assert.is(
    formatReference(suffixedReference(parseReference('py'), 'amd64', 'tag')),
    'docker.io/library/py:latest-amd64',
  );
  const long = { registry: 'h.io', repository: 'n'.repeat(250), tag: 't'.repeat(128) };
  assert.throws(() => suffixedReference(long, 'arm64v8', 'repo'), /longer than 255/);
  assert.throws(() => suffixedReference({ ...long, repository: 'n' }, 'arm64v8', 'tag'), /invalid image ref/);
});

test('a digest is sha256 in lower case', () => {
  assert.ok(isDigest(sha256));
  for (const text of [sha512, sha256.toUpperCase(), `${sha256}0`, sha256.slice(7), `${sha256}\n`])
    assert.not(isDigest(text), text);
});

test.run();
