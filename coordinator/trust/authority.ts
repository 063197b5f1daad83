/** The coordinator's own certificate authority: a key that never leaves its data directory, and what it signs. */
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import {
  belongTogether,
  isAbsent,
  isWhole,
  pairFiles,
  readPair,
  restrictPair,
  writePair,
  type KeyPair,
} from './pair-files.ts';

/** How long a certificate is good for, from `now` on; milliseconds. */
export interface Validity {
  readonly now: number;
  readonly lifetime: number;
}

export interface AuthorityOptions {
  /** Nothing was signed by the one that is there, but for a server's certificate beside it. */
  readonly isUnused?: boolean;
}

const curve = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;
const day = 86_400_000;
/** The authority of a farm outlives its machines; to replace it is to tell every host anew. */
const authorityLifetime = 3650 * day;
/** Clocks of hosts differ; a certificate is good from a little before it was made. */
const backdated = 3_600_000;

export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly #signer: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(pair: KeyPair, key: webcrypto.CryptoKey) {
    this.certificate = pair.certificate;
    this.#signer = new x509.X509Certificate(pair.certificate);
    this.#key = key;
  }

  /**
   * The one in this directory, made where there is none, and where there is half of one that nobody can know. Throws
   * `config` for one that cannot be used.
   */
  static async open(directory: string, { isUnused = false }: AuthorityOptions = {}): Promise<Authority> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const files = pairFiles(directory, 'ca');
    const kept = await readAuthority(directory, isUnused);
    const pair = kept ?? (await makeAuthority());
    let authority: Authority;
    try {
      if (!belongTogether(pair))
        throw new Error(`the key in ${files.key} is not that of ${files.certificate}`);
      authority = new Authority(pair, await importKey(pair.key));
    } catch (cause) {
      throw new ArchfarmError('config', `the authority in ${directory} cannot be used: ${messageOf(cause)}`, {
        hint: 'put ca.crt and ca.key back from a copy; a new authority must be made known to every host again',
        cause,
      });
    }
    if (kept === undefined) await writePair(files, pair);
    else await restrictPair(files);
    return authority;
  }

  /** A server's certificate with a new key. `names` are host names and addresses. */
  async signServer(names: readonly string[], { now, lifetime }: Validity): Promise<KeyPair> {
    const keys = await generateKeys();
    const certificate = await this.#sign({
      subject: 'CN=archfarm coordinator',
      publicKey: keys.publicKey,
      validity: { now, lifetime },
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
        ),
      ],
    });
    return { certificate, key: await exportKey(keys.privateKey) };
  }

  /**
   * A client's certificate (PEM) for the key of a signing request (PEM), whatever else that asks for. Throws `usage` for a
   * request that does not prove its key, or has one of another kind than P-256.
   */
  async signAgent(
    request: string,
    { name, ...validity }: Validity & { readonly name: string },
  ): Promise<string> {
    return this.#sign({
      subject: new x509.Name([{ CN: [name] }]),
      publicKey: await provenKey(request),
      validity,
      extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    });
  }

  async #sign({ subject, publicKey, validity: { now, lifetime }, extensions }: ToSign): Promise<string> {
    const certificate = await x509.X509CertificateGenerator.create({
      subject: subject.toString(),
      issuer: this.#signer.subject,
      notBefore: new Date(now - Math.min(backdated, lifetime / 30)),
      notAfter: new Date(Math.min(now + lifetime, this.#signer.notAfter.getTime())),
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: signing,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...extensions,
        await x509.AuthorityKeyIdentifierExtension.create(this.#signer, false),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ],
    });
    return certificate.toString('pem');
  }
}

interface ToSign {
  readonly subject: string | x509.Name;
  readonly publicKey: x509.PublicKeyType;
  readonly validity: Validity;
  readonly extensions: readonly x509.Extension[];
}

/** Of a signing request that was signed by it. */
async function provenKey(text: string): Promise<x509.PublicKey> {
  const hint = 'archfarm-agent makes such requests by itself; are both of the same version?';
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(text);
    if (!(await request.verify())) throw new Error('its signature is wrong');
    await request.publicKey.export(curve, ['verify']);
  } catch (cause) {
    throw new ArchfarmError('usage', `the request for a certificate is not right: ${messageOf(cause)}`, {
      hint,
      cause,
    });
  }
  return request.publicKey;
}

/** Whether a certificate is for just these names, and signed by the authority. */
export function isFor(certificate: X509Certificate, names: readonly string[], authority: Authority): boolean {
  if (!certificate.verify(new X509Certificate(authority.certificate).publicKey)) return false;
  const has = certificate.subjectAltName?.split(', ').length ?? 0;
  return (
    has === names.length &&
    names.every((name) =>
      isIP(name) === 0 ? certificate.checkHost(name) !== undefined : certificate.checkIP(name) !== undefined,
    )
  );
}

/** Undefined where one is to be made: there is none, or what is left of a first start that was cut off. */
async function readAuthority(directory: string, isUnused: boolean): Promise<KeyPair | undefined> {
  const files = pairFiles(directory, 'ca');
  const found = await readPair(files);
  if (isWhole(found)) return found;
  if (isAbsent(found)) return undefined;
  // Where the authority signs for the server, it has done that before anything else.
  if (isUnused && isAbsent(await readPair(pairFiles(directory, 'server')))) {
    // Cut off once more, there is to be a key alone again, and not one with the certificate of another.
    await rm(files.certificate, { force: true });
    return undefined;
  }
  const [missing, left] =
    found.key === undefined ? [files.key, files.certificate] : [files.certificate, files.key];
  throw new ArchfarmError('config', `${missing} is missing, and ${left} is of no use without it`, {
    hint: `put ${missing} back from a copy; or remove ${left} for a new authority, which must be made known to every host again`,
  });
}

async function makeAuthority(): Promise<KeyPair> {
  const keys = await generateKeys();
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=archfarm farm authority',
    notBefore: new Date(now - backdated),
    notAfter: new Date(now + authorityLifetime),
    keys,
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), curve, false, ['sign']);
}
