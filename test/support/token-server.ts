/** A registry's token server: JWTs that Debian's docker-registry believes, for one user. */
import { execFile } from 'node:child_process';
import { randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startServer } from './logged-server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface TokenServer extends AsyncDisposable {
  readonly host: string;
  /** The scopes of each token that was asked for, in order, `repository:a:pull`. */
  readonly asked: string[][];
  /** Those of them that were asked for without signing in. */
  readonly askedAnonymously: string[][];
  /** The `auth` section of the registry that believes this server. */
  readonly registryAuth: Readonly<Record<string, unknown>>;
  /** A token with these rights. */
  issue(scopes: readonly string[]): string;
}

export interface TokenServerOptions {
  readonly username: string;
  readonly password: string;
  /** Seconds that it promises; 300 if not given. */
  readonly lifetime?: number;
  /** Seconds that the registry believes a token after its end, to be taken off that. */
  readonly leeway?: number;
  /** Left out of what is granted, without a word, as token servers do. */
  readonly deny?: (scope: string) => boolean;
  /** Where one of these is asked for, nothing is granted, with a 403, as other token servers do. */
  readonly refuse?: (scope: string) => boolean;
  /** What is granted to whoever does not sign in; if not given, nothing is, with a 401. */
  readonly anonymous?: (scope: string) => boolean;
}

const service = 'test-registry';
const issuer = 'archfarm-test';

export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const directory = await temporaryDirectory();
  const key = join(directory.path, 'key.pem');
  const certificate = join(directory.path, 'cert.pem');
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'.split(' ');
  const files = ['-subj', `/CN=${issuer}`, '-keyout', key, '-out', certificate];
  await promisify(execFile)('openssl', [...request, ...files]);
  const privateKey = await readFile(key, 'utf8');
  const chain = (await readFile(certificate, 'utf8')).replace(/-----[^-]+-----|\s/g, '');
  const lifetime = options.lifetime ?? 300;
  const asked: string[][] = [];
  const askedAnonymously: string[][] = [];

  const issue = (scopes: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes
      .filter((scope) => options.deny?.(scope) !== true)
      .map((scope) => scope.split(':'))
      .map(([type, name, actions = '']) => ({ type, name, actions: actions.split(',') }));
    const times = { exp: now + lifetime - (options.leeway ?? 0), nbf: now - 10, iat: now };
    const claims = { iss: issuer, sub: options.username, aud: service, ...times, jti: randomUUID(), access };
    const signed = `${encode({ typ: 'JWT', alg: 'ES256', x5c: [chain] })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  };

  const { username, password } = options;
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const server = await startServer((request, response) => {
    const scopes = new URL(request.url ?? '', 'http://x').searchParams.getAll('scope');
    asked.push(scopes);
    if (request.headers.authorization === undefined && options.anonymous !== undefined) {
      askedAnonymously.push(scopes);
      response.end(JSON.stringify({ token: issue(scopes.filter(options.anonymous)), expires_in: lifetime }));
      return;
    }
    if (request.headers.authorization !== authorization) {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}');
      return;
    }
    if (options.refuse !== undefined && scopes.some(options.refuse)) {
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"DENIED","message":"not for you"}]}');
      return;
    }
    response.end(JSON.stringify({ access_token: issue(scopes), expires_in: lifetime }));
  });
  return {
    host: server.host,
    asked,
    askedAnonymously,
    registryAuth: {
      token: { realm: `http://${server.host}/token`, service, issuer, rootcertbundle: certificate },
    },
    issue,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
