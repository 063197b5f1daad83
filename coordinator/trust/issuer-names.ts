/**
 * The names by which browsers find the certificate of their user: those of its issuer, as the server lists them when it
 * asks for one. Node lists a name only together with a certificate that it then trusts, and whoever is trusted here makes
 * agents. So each name comes in a certificate that nothing follows from: it has expired, nobody signed it, and its key
 * is of a kind that signs nothing.
 */
import type { X509Certificate } from 'node:crypto';
import { ArchfarmError } from '../../shared/errors.ts';

/** Bytes: some clients end a handshake over much more. */
const maxNames = 16 * 1024;

const tags = { integer: 0x02, bits: 0x03, object: 0x06, time: 0x17, sequence: 0x30, version: 0xa0 } as const;
/** Ed25519; the signature is zeros. */
const signatureKind = tlv(tags.sequence, tlv(tags.object, Buffer.from([43, 101, 112])));
/** X25519, which no signature is made or checked with. */
const keyKind = tlv(tags.sequence, tlv(tags.object, Buffer.from([43, 101, 110])));
const longAgo = tlv(tags.time, Buffer.from('700101000000Z'));
const nobody = tlv(tags.sequence);

/** PEM of what lists the names of those who issued these certificates, each once. */
export function listIssuers(certificates: readonly X509Certificate[]): string[] {
  return namesOf(certificates).map((name) => {
    const certificate = tlv(
      tags.sequence,
      tlv(tags.integer, Buffer.from([1])),
      signatureKind,
      nobody,
      tlv(tags.sequence, longAgo, longAgo),
      name,
      tlv(tags.sequence, keyKind, tlv(tags.bits, Buffer.alloc(33))),
    );
    const der = tlv(tags.sequence, certificate, signatureKind, tlv(tags.bits, Buffer.alloc(65)));
    return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
  });
}

/** Throws `usage` where the names of their issuers are too long together. */
export function requireRoomForIssuers(certificates: readonly X509Certificate[]): void {
  const size = Buffer.concat(namesOf(certificates)).length;
  if (size <= maxNames) return;
  throw new ArchfarmError(
    'usage',
    `the names of those who issued the certificates of users are too long together (${size} bytes)`,
    {
      hint: 'let one authority issue them, whose name is listed once; those that sign themselves count each',
    },
  );
}

function namesOf(certificates: readonly X509Certificate[]): Buffer[] {
  const names = certificates.map(({ raw }) => issuerOf(raw));
  return [...new Map(names.map((name) => [name.toString('hex'), name])).values()];
}

/** DER, as the certificate has it: browsers compare bytes. */
function issuerOf(der: Buffer): Buffer {
  const fields = elements(contents(contents(der)));
  const [first] = fields;
  // After serial number and signature algorithm; the first version of certificates does not say its number.
  return fields[first?.[0] === tags.version ? 3 : 2] ?? nobody;
}

/** The elements in a row. */
function elements(der: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let rest = der; rest.length > 0; rest = rest.subarray(found.at(-1)?.length)) {
    const { start, length } = headOf(rest);
    found.push(rest.subarray(0, start + length));
  }
  return found;
}

function contents(der: Buffer): Buffer {
  const { start, length } = headOf(der);
  return der.subarray(start, start + length);
}

function headOf(der: Buffer): { readonly start: number; readonly length: number } {
  const first = der[1] ?? 0;
  if (first < 0x80) return { start: 2, length: first };
  const size = first - 0x80;
  return { start: 2 + size, length: der.readUIntBE(2, size) };
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(value.length), value]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const size = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const bytes = Buffer.alloc(1 + size, 0x80 + size);
  bytes.writeUIntBE(length, 1, size);
  return bytes;
}
