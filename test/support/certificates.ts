/** A certificate authority for one test, and what it signs; made by openssl. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temporary-directory.ts';

const run = promisify(execFile);

/** PEM, and the files that hold it. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
  readonly files: { readonly certificate: string; readonly key: string };
}

export interface SignOptions {
  readonly expired?: boolean;
  readonly commonName?: string;
  /** Good until then, to the second; for a day where absent. */
  readonly until?: Date;
}

export interface AuthorityOptions {
  readonly commonName?: string;
  /** One above it that vouches for it; where absent it is its own. */
  readonly above?: TestAuthority;
}

export interface TestAuthority extends AsyncDisposable {
  /** File of its own certificate. */
  readonly file: string;
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
  /** `names` are subject alternative names, `DNS:registry.test`; `expired` ones were good until yesterday. */
  sign(names: string, options?: SignOptions): Promise<Pair>;
}

export async function testAuthority({
  commonName: authorityName = 'archfarm test authority',
  above,
}: AuthorityOptions = {}): Promise<TestAuthority> {
  const directory = await temporaryDirectory();
  const at = (name: string): string => join(directory.path, name);
  const newKey = (name: string): string[] => [
    ...'-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout'.split(' '),
    at(name),
  ];
  const subject = ['-subj', `/CN=${authorityName}`];
  const signer = above === undefined ? [] : ['-CA', above.file, '-CAkey', above.file.replace(/crt$/, 'key')];
  await run('openssl', [
    'req',
    '-x509',
    ...newKey('ca.key'),
    ...subject,
    ...signer,
    '-days',
    '2',
    '-out',
    at('ca.crt'),
  ]);
  let count = 0;
  return {
    file: at('ca.crt'),
    certificate: await readFile(at('ca.crt'), 'utf8'),
    key: await readFile(at('ca.key'), 'utf8'),
    async sign(names, { expired = false, commonName = 'x', until } = {}) {
      const name = `signed-${++count}`;
      await writeFile(at(`${name}.ext`), `subjectAltName=${names}\n`);
      await run('openssl', [
        'req',
        ...newKey(`${name}.key`),
        '-subj',
        `/CN=${commonName}`,
        '-out',
        at(`${name}.csr`),
      ]);
      // x509 makes none that is over already; ca does.
      await writeFile(at('index.txt'), '');
      await writeFile(at('ca.cnf'), configuration(directory.path));
      const times = expired
        ? ['-startdate', '20200101000000Z', '-enddate', '20200201000000Z']
        : until === undefined
          ? ['-days', '1']
          : ['-enddate', until.toISOString().replace(/[-:T]|\.\d+/g, '')];
      const files = ['-in', at(`${name}.csr`), '-out', at(`${name}.crt`), '-extfile', at(`${name}.ext`)];
      const how = ['-batch', '-notext', '-rand_serial', '-config', at('ca.cnf')];
      await run('openssl', ['ca', ...how, ...times, ...files]);
      return {
        certificate: await readFile(at(`${name}.crt`), 'utf8'),
        key: await readFile(at(`${name}.key`), 'utf8'),
        files: { certificate: at(`${name}.crt`), key: at(`${name}.key`) },
      };
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

function configuration(directory: string): string {
  return `[ca]
default_ca = test
[test]
new_certs_dir = ${directory}
database = ${directory}/index.txt
certificate = ${directory}/ca.crt
private_key = ${directory}/ca.key
default_md = sha256
policy = any
unique_subject = no
serial = ${directory}/serial
rand_serial = yes
[any]
commonName = supplied
`;
}
