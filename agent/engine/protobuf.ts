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
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[offset];
      if (byte === undefined) throw new Error('truncated protobuf message');
      offset += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error('malformed protobuf number');
  };
  const skip = (length: number): Buffer => {
    if (offset + length > message.length) throw new Error('truncated protobuf message');
    offset += length;
    return message.subarray(offset - length, offset);
  };
  while (offset < message.length) {
    const tag = Number(varint());
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        yield { number, bytes: empty, integer: varint() };
        break;
      case 1:
        skip(8);
        break;
      case 2:
        yield { number, bytes: skip(Number(varint())), integer: 0n };
        break;
      case 5:
        skip(4);
        break;
      default:
        throw new Error(`unknown protobuf wire type ${tag % 8}`);
    }
  }
}

export function writeMessage(fields: readonly FieldValue[]): Buffer {
  const parts: Buffer[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number' || typeof value === 'bigint') {
      const integer = BigInt(value);
      if (integer !== 0n) parts.push(varintOf(BigInt(number * 8)), varintOf(integer));
    } else if (value.length > 0) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      parts.push(varintOf(BigInt(number * 8 + 2)), varintOf(BigInt(bytes.length)), bytes);
    }
  }
  return Buffer.concat(parts);
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

function varintOf(value: bigint): Buffer {
  // Negative numbers travel as their 64-bit two's complement.
  let rest = BigInt.asUintN(64, value);
  if (rest < 0x80n) return Buffer.of(Number(rest));
  const bytes: number[] = [];
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
