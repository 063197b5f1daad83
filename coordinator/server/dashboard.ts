/** The dashboard's files, as `npm run build` left them: served to anybody, for what they show is asked of the API. */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ArchfarmError, systemCode } from '../../shared/errors.ts';
import { about } from './guard.ts';

/** What the page itself shows by its path. */
const views = ['/', '/builds', '/builds/:id', '/agents', '/agents/:name'];

const page = 'index.html';

/** No script but the files, nothing from another host, no frame around it, and no form that a browser sends itself. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface File {
  readonly plain: Buffer;
  readonly zipped: Buffer;
}

type Files = ReadonlyMap<string, File>;

export function addDashboard(app: FastifyInstance): void {
  let files: Promise<Files> | undefined;
  /** All at once: a page never goes with the scripts of another build. */
  const all = (): Promise<Files> => {
    files ??= readFiles().catch((error: unknown) => {
      files = undefined;
      throw error;
    });
    return files;
  };
  const give = async (name: string, request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const file = (await all()).get(name);
    if (file === undefined) return reply.callNotFound();
    const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding']));
    if (zipped) reply.header('content-encoding', 'gzip');
    // Every name but the page's own changes with what is in the file.
    const caching = name === page ? 'no-cache' : 'public, max-age=31536000, immutable';
    return reply
      .headers({ ...headers, vary: 'accept-encoding', 'cache-control': caching })
      .type(types[extname(name)] ?? 'application/octet-stream')
      .send(zipped ? file.zipped : file.plain);
  };
  for (const path of views) app.get(path, about('dashboard'), (request, reply) => give(page, request, reply));
  app.get<{ Params: { file: string } }>('/assets/:file', about('dashboard'), (request, reply) => {
    const { file } = request.params;
    return file === page ? reply.callNotFound() : give(file, request, reply);
  });
}

async function readFiles(): Promise<Files> {
  const zip = promisify(gzip);
  const directory = await builtDirectory();
  const names = await readdir(directory);
  return new Map(
    await Promise.all(
      names.map(async (name) => {
        const plain = await readFile(join(directory, name));
        return [name, { plain, zipped: await zip(plain) }] as const;
      }),
    ),
  );
}

/** Beside the built command; the sources use what was built of them. */
async function builtDirectory(): Promise<string> {
  const here = import.meta.dirname;
  for (const path of ['dashboard', '../../dist/dashboard']) {
    const directory = join(here, path);
    const isThere = await readdir(directory).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
    });
    if (isThere !== undefined) return directory;
  }
  throw new ArchfarmError('not-found', `the dashboard is not installed beside ${here}`, {
    hint: 'npm run build makes it; everything else works without it',
  });
}
