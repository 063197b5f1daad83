import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readInstructions } from '../../../coordinator/context/instructions.ts';
import { lineOfStep } from '../../../coordinator/context/step-line.ts';

function line(dockerfile: string, step: string, message?: string): number | undefined {
  return lineOfStep(dockerfile, { step, message });
}

const stages = `# syntax=docker/dockerfile:1
ARG BASE=busybox
FROM $BASE AS build
ENV WHO=world
# compiles
RUN echo one && \\
    # a comment within

    echo "two" \\
    three
WORKDIR /src
COPY . .
RUN make WHO=$WHO

FROM scratch
COPY --from=build /src/app /app
FROM build
RUN make test
RUN make test
`;

test('instructions keep their first line, whatever they go on over', () => {
  assert.equal(
    readInstructions(stages).map((instruction) => `${instruction.line} ${instruction.keyword}`),
    [
      '2 ARG',
      '3 FROM',
      '4 ENV',
      '6 RUN',
      '11 WORKDIR',
      '12 COPY',
      '13 RUN',
      '15 FROM',
      '16 COPY',
      '17 FROM',
      '18 RUN',
      '19 RUN',
    ],
  );
  assert.is(readInstructions(stages)[3]?.rest, 'echo one &&     echo "two"     three');
});

test('steps are found by stage and number', () => {
  assert.is(line(stages, '[build 1/5] FROM docker.io/library/busybox@sha256:1234'), 3);
  assert.is(line(stages, '[build 2/5] RUN echo one &&     echo "two"     three'), 6);
  assert.is(line(stages, '[build 3/5] WORKDIR /src'), 11);
  assert.is(line(stages, '[build 4/5] COPY . .'), 12);
  assert.is(line(stages, '[stage-1 1/1] COPY --from=build /src/app /app'), 16);
  assert.is(line(stages, '[stage-2 2/2] RUN make test'), 19);
});

test('the values of variables stand in names', () => {
  assert.is(line(stages, '[build 5/5] RUN make WHO=world'), 13);
  assert.is(line('FROM a\nRUN echo ${A:-x}-$B end', '[2/2] RUN echo 1-2 end'), 2);
});

test('one stage needs no name, and two digits are padded', () => {
  const dockerfile = `FROM busybox AS final\n${'RUN x\n'.repeat(11)}`;
  assert.is(line(dockerfile, '[ 3/12] RUN x'), 3);
  assert.is(line(dockerfile, '[12/12] RUN x'), 12);
});

test('where a base brings steps of its own, the text has to tell', () => {
  const dockerfile = 'FROM base\nRUN one\nRUN two\nRUN two\n';
  assert.is(line(dockerfile, '[3/6] RUN one'), 2);
  assert.is(line(dockerfile, '[5/6] RUN two'), undefined);
  assert.is(line(dockerfile, '[2/6] ONBUILD RUN three'), undefined);
});

test('a name that was masked is found by its number, if it is of that kind', () => {
  const dockerfile = 'FROM base\nRUN login --as=abc\nCOPY a b\n';
  assert.is(line(dockerfile, '[2/3] RUN login --as=***'), 2);
  assert.is(line(dockerfile, '[2/3] COPY x y'), undefined);
});

test('heredocs are no instructions, and their summary no part of a name', () => {
  const dockerfile = `FROM busybox
RUN <<EOF sh -e
RUN not this
EOF
RUN cat <<-"A" <<'B' >/x
\tFROM nor this
\tA
$x
B
COPY <<one <<two /dest/
one
two
RUN echo "<<none"
RUN last
`;
  assert.equal(
    readInstructions(dockerfile).map((instruction) => instruction.line),
    [1, 2, 5, 10, 13, 14],
  );
  assert.is(line(dockerfile, '[2/6] RUN <<EOF sh -e (RUN not this...)'), 2);
  assert.is(line(dockerfile, '[6/6] RUN last'), 14);
});

test('windows ends of lines, byte order marks, escape directives and small letters', () => {
  const dockerfile = '\uFEFF# escape=`\r\nfrom busybox\r\nrun a `\r\n  b\r\nCOPY c:\\ d\\\r\nRUN last\r\n';
  assert.equal(
    readInstructions(dockerfile).map((instruction) => [
      instruction.line,
      instruction.keyword,
      instruction.rest,
    ]),
    [
      [2, 'FROM', 'busybox'],
      [3, 'RUN', 'a   b'],
      [5, 'COPY', 'c:\\ d\\'],
      [6, 'RUN', 'last'],
    ],
  );
});

test('a base that is not there is the line of its FROM', () => {
  const dockerfile =
    'ARG TAG=1\nFROM alpine AS a\nFROM --platform=$BUILDPLATFORM reg.lab:5000/base:$TAG\nFROM a\n';
  assert.is(line(dockerfile, '[internal] load metadata for docker.io/library/alpine:latest'), 2);
  assert.is(line(dockerfile, '[internal] load metadata for reg.lab:5000/base:1'), 3);
  assert.is(line(dockerfile, '[internal] load metadata for reg.lab:5000/other:1'), undefined);
});

test('a Dockerfile that is refused names its line itself', () => {
  assert.is(
    lineOfStep('FROM a\nRUNN x\n', { step: undefined, message: 'dockerfile parse error line 2: unknown' }),
    2,
  );
  assert.is(
    lineOfStep('FROM a\nRUNN x\n', {
      step: undefined,
      message: 'x: dockerfile parse error on line 2: unknown',
    }),
    2,
  );
});

test('what is no step of the Dockerfile has no line', () => {
  for (const step of [
    '[internal] load build context',
    'exporting to image',
    '[test] sh -c true',
    '[other 1/2] RUN x',
  ]) {
    assert.is(line(stages, step), undefined, step);
  }
  assert.is(lineOfStep(stages, { step: undefined, message: undefined }), undefined);
  assert.is(line('', '[1/2] FROM x'), undefined);
});

test('hostile texts take no time', () => {
  const long = `RUN ${'$a'.repeat(20_000)} <<${'"'.repeat(20_000)}`;
  const began = performance.now();
  line(`FROM x\n${long}\n`, `[2/2] RUN ${'b'.repeat(100_000)}`);
  assert.ok(performance.now() - began < 5000);
});

test('a Dockerfile made to take long takes no longer than its length', () => {
  const repeated = (text: string): string => text.repeat(500_000 / text.length);
  const long = `[b 2/3] RUN ${'a'.repeat(60_000)}`;
  const hostile: Record<string, readonly [dockerfile: string, step: string]> = {
    blanks: [`FROM a AS b\nRUN x${repeated(' ')}y\n`, long],
    'quotes that nothing closes': [`FROM a AS b\nRUN "${repeated('\\"')}\\`, long],
    'variables that nothing closes': [`FROM a AS b\nRUN ${repeated('${')}`, long],
    'many steps': [`FROM a AS b\n${repeated('RUN a\n')}`, long],
    'many bases': [repeated('FROM lib\n'), `[internal] load metadata for ${'a'.repeat(60_000)}`],
    'digits in a step': ['FROM a AS b\n', `[${'1'.repeat(60_000)}`],
  };
  for (const [name, [dockerfile, step]] of Object.entries(hostile)) {
    const start = performance.now();
    line(dockerfile, step);
    assert.ok(performance.now() - start < 10_000, name);
  }
});

test.run();
