/**
 * The requests of a publish step and nothing else: two images into a repository that has nothing of them, with no more
 * waiting for each other than the registry wants. What is above this time is archfarm's; what is not is the registry's.
 */
import { Pool } from 'undici';
import * as v from 'valibot';
import { newBlobs, putImage } from './publish-images.ts';

const types = 'application/vnd.docker.distribution.manifest';
const imageType = `${types}.v2+json`;
const listType = `${types}.list.v2+json`;
const architectures = ['amd64', 'arm64'] as const;

const blobSchema = v.object({ digest: v.string() });
const imageSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ config: blobSchema, layers: v.array(blobSchema) }),
);

interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly path: string;
  /** Accepted, and of the body. */
  readonly type?: string;
  readonly body?: Buffer;
}

/** Gives milliseconds from the reports to the tag that was read back. */
export async function publishBare(host: string, name: string): Promise<number> {
  const images = await Promise.all(
    architectures.map(async (architecture) => {
      const repository = `bare/${name}-${architecture}`;
      const { digest } = await putImage({ host, repository }, newBlobs(architecture), 0);
      return { repository, digest, architecture };
    }),
  );
  const pool = new Pool(`http://${host}`, { connections: 8 });
  const ask = async ({ method, path, type, body }: Request): Promise<Buffer> => {
    const headers = type === undefined ? {} : { accept: type, ...(body && { 'content-type': type }) };
    const answer = await pool.request({ method, path: `/v2/${path}`, headers, body: body ?? null });
    return Buffer.from(await answer.body.arrayBuffer());
  };
  const target = `bare/${name}`;
  const tag = `${target}/manifests/1`;
  await ask({ method: 'GET', path: tag, type: listType });
  const start = performance.now();
  const manifests = await Promise.all(
    images.map(async ({ repository, digest, architecture }) => {
      const body = await ask({ method: 'GET', path: `${repository}/manifests/${digest}`, type: imageType });
      const { config, layers } = v.parse(imageSchema, body.toString());
      await Promise.all(
        [config, ...layers].map((blob) => {
          const query = new URLSearchParams({ mount: blob.digest, from: repository });
          return ask({ method: 'POST', path: `${target}/blobs/uploads/?${query.toString()}` });
        }),
      );
      await ask({ method: 'PUT', path: `${target}/manifests/${digest}`, type: imageType, body });
      return { mediaType: imageType, size: body.length, digest, platform: { architecture, os: 'linux' } };
    }),
  );
  const list = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: listType, manifests }));
  await ask({ method: 'PUT', path: tag, type: listType, body: list });
  const found = await pool.request({ method: 'HEAD', path: `/v2/${tag}`, headers: { accept: listType } });
  const time = performance.now() - start;
  await found.body.dump();
  await pool.close();
  if (found.statusCode !== 200) throw new Error(`the list is not there: ${found.statusCode}`);
  return time;
}
