import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contextName, describeContext, parseGitSource } from '../../../coordinator/project/context-source.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

test('URLs are split as docker splits them; anything else is none', () => {
  const golden: [text: string, url: string, ref?: string | undefined, subdirectory?: string][] = [
    ['https://host/a/b.git', 'https://host/a/b.git'],
    ['https://host/a/b#main', 'https://host/a/b', 'main'],
    ['https://host/a/b.git#:docker', 'https://host/a/b.git', undefined, 'docker'],
    ['git@host:a/b.git#v1:x/y', 'git@host:a/b.git', 'v1', 'x/y'],
    ['ssh://git@host:22/a', 'ssh://git@host:22/a'],
    ['git@host:/srv/git/app.git#v1', 'git@host:/srv/git/app.git', 'v1'],
    // Git itself knows schemes in small letters alone.
    ['HTTPS://Host/A/b', 'https://Host/A/b'],
    ['github.com/a/b#c', 'https://github.com/a/b', 'c'],
  ];
  for (const [text, url, ref, subdirectory] of golden) {
    assert.equal(parseGitSource(text), { type: 'git', url, ref, subdirectory }, text);
  }
  for (const text of ['.', '-', 'py-app', './x.git', '/a/b.git', 'a:b', 'ext::sh', 'git@host:-x']) {
    assert.is(parseGitSource(text), undefined, text);
  }
});

test('references and directories that git would take for something else are refused', () => {
  for (const text of ['https://host/a#--upload-pack=x', 'https://host/a#a..b', 'https://host/a#:../b']) {
    assert.throws(
      () => parseGitSource(text),
      (error: unknown) => error instanceof ArchfarmError && error.code === 'usage',
      text,
    );
  }
});

test('names a context by its last part, and never shows a password', () => {
  const git = parseGitSource('https://me:secret@host/a/py-app.git#v1');
  assert.ok(git);
  assert.is(contextName(git), 'py-app');
  assert.is(describeContext(git), 'https://host/a/py-app.git#v1');
  assert.is(contextName({ type: 'tar', path: '/x/app.tar.gz' }), 'app');
  for (const url of [
    'file:///home/me/hello/.git',
    'https://host/a/hello/',
    'git@host:hello.git',
    'git@host:/srv/hello.git',
  ]) {
    assert.is(contextName({ type: 'git', url }), 'hello', url);
  }
  // Every build has a name, also where a path has none.
  assert.is(contextName({ type: 'directory', path: '/' }), 'context');
  assert.is(contextName({ type: 'tar', path: '/x/.tar' }), 'context');
});

test.run();
