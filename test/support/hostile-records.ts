/** Records of directories as no client of ours writes them, each with what is said of it. */
import { gzipSync } from 'node:zlib';
import { digestOf, directoryHeader } from '../../shared/context/encoding.ts';

const hex = '0'.repeat(64);

/** Of fields that each end with a NUL. */
export function recordOf(...fields: readonly string[]): Buffer {
  return Buffer.from(directoryHeader + fields.map((field) => `${field}\0`).join(''));
}

/** The last one is of the root. */
export interface HostileTree {
  readonly records: readonly Buffer[];
  readonly says: RegExp;
}

function file(name: string, size = '1'): readonly string[] {
  return ['f', name, '0644', size, hex];
}

function one(record: Buffer, says: RegExp): HostileTree {
  return { records: [record], says };
}

/** Directories in one another, from the innermost out. */
function nested(levels: number, entries: (digest: string) => readonly string[], says: RegExp): HostileTree {
  const records = [recordOf(...file('x'))];
  for (let level = 0; level < levels; level += 1)
    records.push(recordOf(...entries(digestOf(records.at(-1) ?? Buffer.alloc(0)).slice('sha256:'.length))));
  return { records, says };
}

const noUtf8 = Buffer.concat([
  Buffer.from(`${directoryHeader}f\0`),
  Buffer.of(0xff),
  Buffer.from(['', '0644', '1', hex, ''].join('\0')),
]);

/** By what is wrong with them. */
export const hostileTrees: Readonly<Record<string, readonly HostileTree[]>> = {
  'with names that lead out of it [X1]': [
    one(recordOf(...file('..')), /illegal name "\.\."/),
    one(recordOf(...file('.')), /illegal name "\."/),
    one(recordOf(...file('')), /illegal name ""/),
    one(recordOf(...file('../../x')), /illegal name "\.\.\/\.\.\/x"/),
    one(recordOf(...file('/etc/passwd')), /illegal name "\/etc\/passwd"/),
  ],
  'with links to what is not before them [X2]': [
    one(recordOf('h', 'a', '../../etc/passwd'), /illegal name "\.\."/),
    one(
      recordOf('h', 'a', 'later', ...file('later')),
      /"a" is a hard link to "later", which is no earlier file/,
    ),
    one(recordOf('l', 'a', '/', 'h', 'b', 'a/etc/passwd'), /"b" is a hard link to "a\/etc\/passwd"/),
  ],
  'with devices and pipes [X4]': [
    one(recordOf('c', 'null', '0644', '1,3'), /"null" is an entry of the unknown type "c"/),
    one(recordOf('p', 'pipe'), /"pipe" is an entry of the unknown type "p"/),
  ],
  'with files that are larger than they are [X5]': [
    one(
      recordOf(...file('holes', `${20 * 1024 ** 3 + 1}`)),
      /21474836481 bytes of files .* more than the limit/,
    ),
    one(recordOf(...file('holes', '1e30')), /"holes" has an illegal size/),
  ],
  'with names that are too long or no text [X6]': [
    one(recordOf(...file('x'.repeat(256))), /name "x+"… is longer than 255 bytes/),
    one(recordOf(...file('\u001b[2J\n'.repeat(60))), /name "(\\u001b\[2J\\n)+…?/),
    one(noUtf8, /directory sha256:\w+ is not in canonical form/),
  ],
  'with paths that are too long [X7]': [
    nested(30, (digest) => ['d', 'd'.repeat(200), '0755', digest], /^"[d/]+" has \d+ bytes in a path/),
  ],
  'with entries twice, out of order or of no size [X9]': [
    one(recordOf(...file('a'), ...file('a')), /entries out of order: "a", "a"/),
    one(recordOf(...file('b'), ...file('a')), /entries out of order: "b", "a"/),
    one(recordOf(...file('a', '-1')), /"a" has an illegal size/),
    one(recordOf('f', 'a', '9999', '1', hex), /"a" has an illegal mode/),
    one(recordOf('f', 'a', '0644', '1', 'zz'), /"a" has an illegal digest/),
  ],
  'that is compressed [X10]': [one(gzipSync(recordOf(...file('a'))), /sha256:\w+ is no directory record/)],
  'that is cut or longer [X11]': [
    one(recordOf(...file('a')).subarray(0, -70), /"a" has an illegal digest/),
    one(Buffer.concat([recordOf(...file('a')), Buffer.from('x')]), /sha256:\w+ is not in canonical form/),
  ],
};

/** As deep as a path may be long. */
export const deepTree = nested(
  820,
  (digest) => ['d', 'dddd', '0755', digest],
  /^"[d/]+" has \d+ bytes in a path/,
);

/** Eighteen records that describe half a million directories. */
export const endlessTree = nested(
  18,
  (digest) => ['d', 'a', '0755', digest, 'd', 'b', '0755', digest],
  /the context has \d+ files, directories and links, more than the limit of 20000$/,
);
