import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addStages, type AddedStage } from '../../../agent/engine/added-stages.ts';

const lib: AddedStage = { name: 'lib', image: 'local/lib:1' };
const web: AddedStage = { name: 'web', image: 'local/web:2' };

function staged(dockerfile: string, stages: readonly AddedStage[] = [lib], target?: string): string {
  return addStages(dockerfile, { stages, target }).text;
}

test('adds stages right before the first, after directives, comments and global arguments', () => {
  const head =
    '# syntax=docker/dockerfile:1\n# escape=`\n\n# about\nARG BASE=alpine `\n  \nARG B\n  # more\n';
  assert.is(
    staged(`${head}  from $BASE AS a\nCOPY --from=lib / /\n`, [lib, web]),
    `${head}FROM local/lib:1 AS lib\nFROM local/web:2 AS web\n  from $BASE AS a\nCOPY --from=lib / /\n`,
  );
});

test('leaves a Dockerfile without FROM, or without stages to add, as it is', () => {
  for (const text of ['', 'RUN x\n', '# FROM a\n', 'ARG X \\\nFROM a']) assert.is(staged(text), text);
  assert.is(staged('FROM a\nCOPY --from=0 / /', []), 'FROM a\nCOPY --from=0 / /');
});

test('keeps a byte order mark first, and carriage returns [D1]', () => {
  assert.is(staged('\uFEFFFROM a\r\nRUN b\r\n'), '\uFEFFFROM local/lib:1 AS lib\nFROM a\r\nRUN b\r\n');
});

test('counts on what is known by number, and nothing that only looks like it', () => {
  const dockerfile = [
    'FROM a',
    'FROM b',
    'COPY --from=0 / /',
    'copy --chown=1:1 \\',
    '  # a comment',
    '  --from="1" / /',
    'COPY a --from=0 /x',
    'RUN cp --from=0',
    'RUN --mount=type=bind,from=0,target=/x true',
    'RUN echo \\',
    'COPY --from=0 / /',
    '# COPY --from=0 / /',
    'RUN <<EOF cat <<-"END"',
    'COPY --from=0 / /',
    'EOF',
    'COPY --from=0 / /',
    '\tEND',
    'COPY --from=01 / /',
    'RUN echo $((1<<0))',
    'COPY --from=0 / /',
  ];
  const expected = dockerfile.with(2, 'COPY --from=1 / /').with(5, '  --from="2" / /');
  assert.is(
    staged(dockerfile.join('\n')),
    ['FROM local/lib:1 AS lib', ...expected.with(17, 'COPY --from=2 / /').with(19, 'COPY --from=1 / /')].join(
      '\n',
    ),
  );
});

test('replaces a stage of the same name, also where it is known by number or the last', () => {
  const { text, target } = addStages(
    'FROM a AS one\nFROM --platform=$BUILDPLATFORM b as LIB\nRUN x\nFROM lib\nCOPY --from=1 / /\n',
    { stages: [web, lib] },
  );
  assert.is(
    text,
    'FROM local/web:2 AS web\nFROM local/lib:1 AS lib\nFROM a AS one\n' +
      'FROM --platform=$BUILDPLATFORM b as LIB.replaced\nRUN x\nFROM lib\nCOPY --from=1 / /\n',
  );
  assert.is(target, undefined);
  assert.is(addStages('FROM a AS lib', { stages: [lib] }).target, 'lib');
  assert.is(addStages('FROM b AS one\nFROM a AS lib', { stages: [lib], target: 'one' }).target, 'one');
});

test('stands for an image of its name, however that is written', () => {
  const written = ['lib:latest', 'docker.io/library/lib', 'docker.io/lib:latest', 'library/lib', 'lib'];
  const others = ['lib:1', 'lib@sha256:0', 'quay.io/lib', 'docker.io/x/lib', 'liberty'];
  const dockerfile = (names: readonly string[]): string =>
    names
      .map(
        (name) =>
          `FROM --platform=linux/amd64 ${name} AS x\nCOPY --from=${name} / /\nRUN --mount=target=/m,from=${name} y\n`,
      )
      .join('');
  assert.is(
    staged(dockerfile([...written, ...others])),
    `FROM local/lib:1 AS lib\n${dockerfile([...written.map(() => 'lib'), ...others])}`,
  );
});

test('a Dockerfile made to take long takes no longer than its length', () => {
  const repeated = (text: string): string => text.repeat(500_000 / text.length);
  const distinct = Array.from({ length: 40_000 }, (_, index) => `RUN <<X${index}\n`).join('');
  const hostile = {
    'ends that are missing': `FROM a\n${repeated('RUN <<X\n')}`,
    'each of its own': `FROM a\n${distinct}`,
    'with tabs': `FROM a\n${repeated('RUN <<-X\n')}`,
    'ends that are there': `FROM a\n${repeated('RUN <<X\nX\n')}`,
    'blanks in a directive': `# a=x${repeated(' ')}y\nFROM a\n`,
    'much to replace': `FROM a\n${repeated('COPY --from=0 / /\n')}`,
  };
  for (const [name, dockerfile] of Object.entries(hostile)) {
    const start = performance.now();
    addStages(dockerfile, { stages: [lib] });
    assert.ok(performance.now() - start < 10_000, name);
  }
});

test('speaks of lines and stages as the user counts them', () => {
  const { inUsersTerms } = addStages('# c\nFROM a\nFOO\n', { stages: [lib, web] });
  assert.is(
    inUsersTerms('dockerfile parse error line 5: unknown instruction: FOO'),
    'dockerfile parse error line 3: unknown instruction: FOO',
  );
  assert.is(inUsersTerms('dockerfile parse error on line 4: x'), 'dockerfile parse error on line 2: x');
  assert.is(inUsersTerms('dockerfile parse error line 1: x'), 'dockerfile parse error line 1: x');
  assert.is(inUsersTerms('[stage-2 1/3] RUN [stage-9 1/1]'), '[stage-0 1/3] RUN [stage-9 1/1]');
  assert.is(inUsersTerms('[linux/arm64 stage-3 1/3] RUN x'), '[linux/arm64 stage-1 1/3] RUN x');
  assert.is(inUsersTerms('[lib 1/1] FROM x'), '[lib 1/1] FROM x');
  assert.is(inUsersTerms('invalid stage index 5'), 'invalid stage index 3');
});

test.run();
