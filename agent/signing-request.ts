/**
 * A request for a certificate (PKCS #10, RFC 2986) for a new key. Written here because the libraries that do it are a third of the
 * agent's one file, and only the key, the signature and a constant name vary.
 */
import { generateKeyPairSync, sign } from 'node:crypto';

/** PEM both: a new P-256 key, and the request to have it certified that proves it. */
export function newSigningRequest(): { readonly key: string; readonly request: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = Buffer.from([0x02, 0x01, 0x00]);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const attributes = tagged(0xa0);
  const info = sequence(version, subject, spki, attributes);
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', info, privateKey));
  const der = sequence(info, sequence(ecdsaWithSha256), signature);
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    request: `-----BEGIN CERTIFICATE REQUEST-----\n${inLines(der.toString('base64'))}-----END CERTIFICATE REQUEST-----\n`,
  };
}

/** DER: tag, length, contents. */
function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function inLines(base64: string): string {
  return base64.replace(/.{1,64}/g, '$&\n');
}

/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = Buffer.from('06082a8648ce3d040302', 'hex');

/** CN=archfarm agent; the coordinator names who it certifies, whatever is asked for. */
const subject = sequence(
  tagged(0x31, sequence(Buffer.from('0603550403', 'hex'), tagged(0x0c, Buffer.from('archfarm agent')))),
);
