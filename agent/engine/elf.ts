/** The first bytes of a Linux program: for which architecture it is, or who is to interpret it. */

/** Of ELF's header, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html; e_machine's values are the ABIs'. */
const offsets = { class: 4, data: 5, type: 16, machine: 18, end: 20 };
const executableTypes: ReadonlySet<number> = new Set([2, 3]);

/** By e_machine: the name, in platforms' words, of each class and byte order that machine has. */
const machines: Readonly<Record<number, Partial<Record<`${32 | 64}${'le' | 'be'}`, string>>>> = {
  3: { '32le': '386' },
  8: { '32be': 'mips', '32le': 'mipsle', '64be': 'mips64', '64le': 'mips64le' },
  20: { '32be': 'ppc' },
  21: { '64be': 'ppc64', '64le': 'ppc64le' },
  22: { '32be': 's390', '64be': 's390x' },
  40: { '32le': 'arm' },
  // The 32-bit class is x32, which needs a 64-bit processor.
  62: { '64le': 'amd64', '32le': 'amd64' },
  183: { '64le': 'arm64' },
  243: { '32le': 'riscv32', '64le': 'riscv64' },
  258: { '64le': 'loong64' },
};

/** 32-bit programs that many a processor of the 64-bit architecture runs as well. */
const siblings: Readonly<Record<string, string>> = {
  amd64: '386',
  arm64: 'arm',
  mips64: 'mips',
  mips64le: 'mipsle',
  ppc64: 'ppc',
  s390x: 's390',
};

/** Undefined for what is no program, or one of a machine that is not known here. */
export function architectureOfProgram(head: Buffer): string | undefined {
  if (head.length < offsets.end || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const bits = ({ 1: 32, 2: 64 } as const)[head[offsets.class] ?? 0];
  const order = ({ 1: 'le', 2: 'be' } as const)[head[offsets.data] ?? 0];
  if (bits === undefined || order === undefined) return undefined;
  const read = (offset: number): number =>
    order === 'le' ? head.readUInt16LE(offset) : head.readUInt16BE(offset);
  if (!executableTypes.has(read(offsets.type))) return undefined;
  return machines[read(offsets.machine)]?.[`${bits}${order}`];
}

/** Whether hosts of that architecture may run the other one's programs too. */
export function isSibling(architecture: string, other: string): boolean {
  return siblings[architecture] === other;
}

/** What follows `#!` up to a blank, as the kernel reads it. */
export function interpreterOf(head: Buffer): string | undefined {
  // Read as bytes: a path is a path in any encoding, and the rest may be no text at all.
  return /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString('latin1'))?.[1];
}
