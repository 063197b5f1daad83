import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WantedSets } from '../../../coordinator/context/wanted-sets.ts';
import { everything, type Selection } from '../../../shared/context/select.ts';

const context = `sha256:${'c'.repeat(64)}`;
const dockerfile = `sha256:${'d'.repeat(64)}`;
const ignoreFile = following('.dockerignore');

function following(...followPaths: string[]): Selection {
  return { ...everything, followPaths };
}

/** As `root selection`, with `?` for what is only assumed. */
function told(sets: WantedSets, ...platforms: string[]): string[] {
  return sets.of(platforms).map(({ root, selection, isSelected }) => {
    const tree = root === context ? 'context' : 'dockerfile';
    return `${tree} ${selection.followPaths.join(',') || 'everything'}${isSelected ? '' : '?'}`;
  });
}

function sample(): WantedSets {
  const sets = new WantedSets([context, dockerfile]);
  sets.note({ platform: 'a', number: 1 }, dockerfile, following('Dockerfile'));
  sets.note({ platform: 'a', number: 1 }, context, following('app'));
  return sets;
}

test('a task whose engine opened nothing yet wants all of its trees', () => {
  assert.equal(told(new WantedSets([context, dockerfile]), 'a'), [
    'context everything?',
    'dockerfile everything?',
  ]);
  assert.equal(told(new WantedSets([context, context]), 'a', 'b'), ['context everything?']);
});

test('what was selected counts for its task, and what tasks have in common counts once', () => {
  const sets = sample();
  assert.equal(told(sets, 'a').toSorted(), ['context app', 'dockerfile Dockerfile']);
  assert.equal(told(sets, 'a', 'b').slice(2), ['context everything?', 'dockerfile everything?']);
  sets.note({ platform: 'b', number: 1 }, dockerfile, following('Dockerfile'));
  sets.note({ platform: 'b', number: 1 }, context, following('app'));
  assert.equal(told(sets, 'a', 'b'), told(sets, 'a'));
  assert.equal(told(sets), []);
});

test('an engine that only read the ignore file has not said what it wants of the context', () => {
  const sets = new WantedSets([context]);
  sets.note({ platform: 'a', number: 1 }, context, ignoreFile);
  assert.equal(told(sets, 'a'), ['context .dockerignore', 'context everything?']);
  sets.note({ platform: 'a', number: 1 }, context, following('lib'));
  assert.equal(told(sets, 'a'), ['context .dockerignore', 'context lib']);
});

test('several selections of an attempt add up', () => {
  const sets = sample();
  sets.note({ platform: 'a', number: 1 }, context, following('lib'));
  sets.note({ platform: 'a', number: 1 }, context, following('lib'));
  assert.equal(told(sets, 'a').toSorted(), ['context app', 'context lib', 'dockerfile Dockerfile']);
});

test('the next attempt takes the place of the former once it has opened the tree, and never the reverse', () => {
  const sets = sample();
  sets.note({ platform: 'a', number: 2 }, context, ignoreFile);
  assert.equal(told(sets, 'a').toSorted(), ['context .dockerignore', 'context app', 'dockerfile Dockerfile']);
  sets.note({ platform: 'a', number: 2 }, context, following('other'));
  const now = ['context .dockerignore', 'context other', 'dockerfile Dockerfile'];
  assert.equal(told(sets, 'a').toSorted(), now);
  sets.note({ platform: 'a', number: 1 }, context, following('app'));
  assert.equal(told(sets, 'a').toSorted(), now);
});

test('trees of other builds count for nothing, and one that is opened without end is wanted whole', () => {
  const sets = new WantedSets([context]);
  sets.note({ platform: 'a', number: 1 }, dockerfile, following('Dockerfile'));
  assert.equal(told(sets, 'a'), ['context everything?']);
  for (let index = 0; index < 1000; index++)
    sets.note({ platform: 'a', number: 1 }, context, following(`file-${index}`));
  const all = told(sets, 'a');
  assert.ok(all.includes('context everything'));
  assert.ok(all.length < 100, `${all.length} are remembered`);
});

test('a selection of very many patterns, or of very long ones, is all of its tree', () => {
  const parts = 'followPaths includePatterns excludePatterns'.split(' ');
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}/*x`);
  for (const part of parts) {
    for (const [patterns, isWhole] of [
      [many(1000), false],
      [many(1001), true],
      [['é'.repeat(32 * 1024)], false],
      [['é'.repeat(32 * 1024), 'x'], true],
    ] as const) {
      const selection: Selection = { ...everything, [part]: patterns };
      const sets = new WantedSets([context]);
      sets.note({ platform: 'a', number: 1 }, context, selection);
      const expected = isWhole ? everything : selection;
      assert.equal(
        sets.of(['a']).map((wanted) => wanted.selection),
        [expected],
        `${patterns.length} ${part}`,
      );
    }
  }
});

test.run();
