/** Certificate authorities of this machine, and certificates in texts; PEM throughout. */
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

/** What Go programs, Docker among them, read here; Node has only the roots it was built with. */
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';

let known: readonly string[] | undefined;

/** Node's roots, those of the system, and those in `NODE_EXTRA_CA_CERTS`: each once, read once. */
export function systemAuthorities(): readonly string[] {
  known ??= readSystemAuthorities();
  return known;
}

function readSystemAuthorities(): readonly string[] {
  const found = [systemBundle, process.env['NODE_EXTRA_CA_CERTS'] ?? ''].flatMap((file) => {
    try {
      return file === '' ? [] : certificatesIn(readFileSync(file, 'utf8'));
    } catch {
      return [];
    }
  });
  // Files wrap their lines as they like.
  return [...new Map([...rootCertificates, ...found].map((pem) => [pem.replace(/\s/g, ''), pem])).values()];
}

export function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
