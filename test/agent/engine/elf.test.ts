import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { architectureOfProgram, interpreterOf, isSibling } from '../../../agent/engine/elf.ts';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';

test('tells the architecture of real programs', async () => {
  const base = await busyboxBase();
  for (const architecture of ['amd64', 'arm64']) {
    const program = await readFile(`${base}/${architecture}/usr/bin/busybox`);
    assert.is(architectureOfProgram(program.subarray(0, 64)), architecture);
  }
});

test('reads class and byte order besides the machine', () => {
  const programs = {
    386: header(3, 32, 'le'),
    arm: header(40, 32, 'le'),
    riscv64: header(243, 64, 'le'),
    ppc64le: header(21, 64, 'le'),
    ppc64: header(21, 64, 'be'),
    s390x: header(22, 64, 'be'),
    s390: header(22, 32, 'be'),
    mips: header(8, 32, 'be'),
    mipsle: header(8, 32, 'le'),
    mips64le: header(8, 64, 'le'),
    loong64: header(258, 64, 'le'),
  };
  for (const [architecture, program] of Object.entries(programs)) {
    assert.is(architectureOfProgram(program), architecture);
  }
});

test('says nothing of what is no program, or of a machine it does not know', () => {
  const program = header(62, 64, 'le');
  for (let length = 0; length < program.length; length += 1) {
    assert.is(architectureOfProgram(program.subarray(0, length)), undefined);
  }
  assert.is(architectureOfProgram(header(247, 64, 'le')), undefined);
  const object = Buffer.from(program);
  object.writeUInt16LE(1, 16);
  assert.is(architectureOfProgram(object), undefined);
  const odd = Buffer.from(program);
  odd[5] = 7;
  assert.is(architectureOfProgram(odd), undefined);
  assert.is(architectureOfProgram(Buffer.from('#!/bin/sh\nexec something\n')), undefined);
});

test('knows which 32-bit programs run on 64-bit hosts, and not the other way round', () => {
  assert.ok(isSibling('amd64', '386') && isSibling('arm64', 'arm'));
  assert.not.ok(isSibling('386', 'amd64') || isSibling('arm64', '386') || isSibling('amd64', 'amd64'));
});

test('finds the interpreter of a script', () => {
  assert.is(interpreterOf(Buffer.from('#!/bin/sh\necho')), '/bin/sh');
  assert.is(interpreterOf(Buffer.from('#! /usr/bin/env -S python3\n')), '/usr/bin/env');
  assert.is(interpreterOf(Buffer.from('#!')), undefined);
  assert.is(interpreterOf(Buffer.from('echo #!/bin/sh')), undefined);
});

test.run();

/** The start of an executable's ELF header. */
function header(machine: number, bits: 32 | 64, order: 'le' | 'be'): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.write('\x7fELF', 'latin1');
  bytes[4] = bits === 32 ? 1 : 2;
  bytes[5] = order === 'le' ? 1 : 2;
  for (const [offset, value] of [
    [16, 2],
    [18, machine],
  ] as const) {
    if (order === 'le') bytes.writeUInt16LE(value, offset);
    else bytes.writeUInt16BE(value, offset);
  }
  return bytes;
}
