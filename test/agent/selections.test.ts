import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Selections } from '../../agent/selections.ts';
import { everything, type Selection } from '../../shared/context/select.ts';
import type { Digest } from '../../shared/context/tree.ts';

const tree = `sha256:${'a'.repeat(64)}`;

function recorded(): { sent: [Digest, Selection][]; selections: Selections } {
  const sent: [Digest, Selection][] = [];
  return { sent, selections: new Selections((root, selection) => sent.push([root, selection])) };
}

function following(...followPaths: string[]): Selection {
  return { ...everything, followPaths };
}

test('each is told once, and all of them again after a reconnect', () => {
  const { sent, selections } = recorded();
  for (const path of ['Dockerfile', 'app', 'app']) selections.add(tree, following(path));
  assert.equal(sent, [
    [tree, following('Dockerfile')],
    [tree, following('app')],
  ]);
  selections.resend();
  assert.equal(sent.slice(2), sent.slice(0, 2));
});

test('one that is too long for a message is told as all of the tree', () => {
  const { sent, selections } = recorded();
  const paths = Array.from({ length: 20_000 }, (_, index) => `directory/file-${index}`);
  selections.add(tree, following(...paths));
  assert.equal(sent, [[tree, everything]]);
});

test('an engine that opens a tree without end selects all of it', () => {
  const { sent, selections } = recorded();
  for (let index = 0; index < 1000; index++) selections.add(tree, following(`file-${index}`));
  assert.ok(sent.length < 100, `${sent.length} were told`);
  assert.equal(sent.at(-1), [tree, everything]);
});

test.run();
