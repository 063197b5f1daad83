/** The protobuf wire format, as far as BuildKit's session and status messages need it. */

/** One field of a message. `bytes` is empty for numbers, `integer` is 0 for everything else. */
export interface Field {
  readonly number: number;
  readonly bytes: Buffer;
  readonly integer: bigint;
}

/** Field number and value. Zero and empty values are left out of a message, as proto3 does. */
export type FieldValue = readonly [number: number, value: number | bigint | string | Buffer];

const empty = Buffer.alloc(0);

/** Fields of fixed width are skipped: no message we read has one. Throws on anything malformed. */
export function* readFields(message: Buffer): Generator<Field> {
  const reader = new Reader(message);
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, bytes: empty, integer: reader.varint() };
        break;
      case 1:
        reader.skip(8);
        break;
      case 2:
        yield { number, bytes: reader.skip(Number(reader.varint())), integer: 0n };
        break;
      case 5:
        reader.skip(4);
        break;
      default:
        throw new Error(`unknown protobuf wire type ${tag % 8}`);
    }
  }
}

export function writeMessage(fields: readonly FieldValue[]): Buffer {
  return writeFields(fields, 0);
}

/** A message that ends with `bytes` as its last field, in two parts: these are not copied, and must not be empty. */
export function writeMessageAround(fields: readonly FieldValue[], number: number, bytes: Buffer): Buffer[] {
  const tag = number * 8 + 2;
  const header = writeFields(fields, varintLength(tag) + varintLength(bytes.length));
  const at = header.length - varintLength(bytes.length);
  putVarint(header, at - varintLength(tag), tag);
  putVarint(header, at, bytes.length);
  return [header, bytes];
}

/** Measured first: engines are told of hundreds of thousands of files, and each message is one piece of memory. */
function writeFields(fields: readonly FieldValue[], extraBytes: number): Buffer {
  let length = extraBytes;
  for (const [number, value] of fields) length += fieldLength(number, value);
  const message = Buffer.allocUnsafe(length);
  let at = 0;
  for (const [number, value] of fields) {
    if (typeof value === 'number' || typeof value === 'bigint') {
      if (isZero(value)) continue;
      at = putVarint(message, at, number * 8);
      at = putVarint(message, at, value);
    } else if (value.length > 0) {
      at = putVarint(message, at, number * 8 + 2);
      at = putVarint(message, at, typeof value === 'string' ? Buffer.byteLength(value) : value.length);
      at += typeof value === 'string' ? message.write(value, at) : value.copy(message, at);
    }
  }
  return message;
}

/** A text field; the empty string when the message lacks it. */
export function textField(message: Buffer, number: number): string {
  return bytesField(message, number).toString('utf8');
}

/** A bytes field; empty when the message lacks it. */
export function bytesField(message: Buffer, number: number): Buffer {
  let found: Buffer = empty;
  for (const field of readFields(message)) if (field.number === number) found = field.bytes;
  return found;
}

class Reader {
  readonly #message: Buffer;
  #offset = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#message.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#message[this.#offset];
      if (byte === undefined) throw new Error('truncated protobuf message');
      this.#offset += 1;
      // Most are short.
      if (shift === 0n && byte < 0x80) return BigInt(byte);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error('malformed protobuf number');
  }

  skip(length: number): Buffer {
    if (this.#offset + length > this.#message.length) throw new Error('truncated protobuf message');
    this.#offset += length;
    return this.#message.subarray(this.#offset - length, this.#offset);
  }
}

function fieldLength(number: number, value: FieldValue[1]): number {
  const tag = varintLength(number * 8);
  if (typeof value === 'number' || typeof value === 'bigint') {
    return isZero(value) ? 0 : tag + varintLength(value);
  }
  if (value.length === 0) return 0;
  const length = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  return tag + varintLength(length) + length;
}

function isZero(value: number | bigint): boolean {
  return value === 0 || value === 0n;
}

const halves = new DataView(new ArrayBuffer(8));

/** The lower 32 bits. Negative numbers travel as their 64-bit two's complement. */
function lower(value: number | bigint): number {
  if (typeof value === 'number' && value >= 0) return value % 2 ** 32;
  // A view splits it without making further bigints.
  halves.setBigInt64(0, BigInt(value));
  return halves.getUint32(4);
}

function upper(value: number | bigint): number {
  if (typeof value === 'number' && value >= 0) return Math.floor(value / 2 ** 32);
  halves.setBigInt64(0, BigInt(value));
  return halves.getUint32(0);
}

function varintLength(value: number | bigint): number {
  const high = upper(value);
  const bits = high === 0 ? 32 - Math.clz32(lower(value)) : 64 - Math.clz32(high);
  return Math.max(1, Math.ceil(bits / 7));
}

/** Gives the place after it. */
function putVarint(into: Buffer, at: number, value: number | bigint): number {
  let low = lower(value);
  let high = upper(value);
  let end = at;
  while (high > 0 || low > 0x7f) {
    into[end++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  into[end++] = low;
  return end;
}
