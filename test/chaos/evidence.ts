/**
 * Reads what the auditor judges: with plain requests to the registry, plain SQL on the store, and `docker run` of
 * every image that was published. Nothing here asks the product, except when it waits for the farm to be at rest.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { Lab, Order } from '../support/chaos-lab.ts';
import { until } from '../support/until.ts';
import type { Asked, Evidence, LoggedFrame, PublishedImage, StoredBuild, TagPut } from './auditor.ts';
import { atRest } from './leftovers.ts';
import { readStore } from './read-store.ts';

const run = promisify(execFile);

export interface Gathering {
  /** Value of an Authorization header for the registry. */
  readonly authorization?: string;
  /** Other values than the lab's own secret that must be nowhere. */
  readonly secrets?: readonly string[];
}

/** Waits until the farm is at rest, as far as it comes to that within half a minute; then looks. */
export async function gather(lab: Lab, options: Gathering = {}): Promise<Evidence> {
  const { data } = lab;
  await until(async () => (await readStore(data)).every(({ status }) => status !== undefined), {
    timeout: 30_000,
    every: 100,
    what: 'every build ends',
  }).catch(() => undefined);
  const builds = await readStore(data);
  const asked = lab.orders.flatMap(({ build, repository, ...order }): Asked[] =>
    build === undefined ? [] : [{ ...order, build, tag: `${repository}:latest` }],
  );
  const tags = new Map<string, string | undefined>();
  for (const tag of new Set(lab.orders.map(({ repository }) => repository))) {
    tags.set(`${tag}:latest`, await digestOfTag(lab.registry.host, tag, options.authorization));
  }
  const documents: string[] = [];
  const images = await readImages(lab, { builds, asked, documents, options });
  const leftovers = await atRest(lab);
  return {
    asked,
    builds,
    puts: putsOf(lab),
    tags,
    images,
    logs: await readLogs(`${data}/logs`),
    leaks: await findLeaks(lab, { documents, secrets: [lab.canary, ...(options.secrets ?? [])] }),
    leftovers,
  };
}

function putsOf({ journal, orders }: Lab): TagPut[] {
  const repositories = new Set(orders.map(({ repository }) => repository));
  return journal.puts
    .filter(({ repository, name }) => repositories.has(repository) && name === 'latest')
    .map(({ repository, digest, body, missing, status }) => ({
      tag: `${repository}:latest`,
      digest,
      platforms: childrenIn(body)?.map(({ platform }) => platform),
      missing,
      taken: status === 201,
    }));
}

interface Child {
  readonly digest: string;
  readonly platform: string;
}

function childrenIn(body: string): Child[] | undefined {
  const { manifests }: { manifests?: { digest: string; platform: PlatformOfList }[] } = JSON.parse(body);
  return manifests?.map(({ digest, platform }) => ({ digest, platform: nameOf(platform) }));
}

interface PlatformOfList {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

function nameOf({ os, architecture, variant }: PlatformOfList): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

const manifestTypes = [
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
].join(', ');

async function read(url: string, authorization: string | undefined): Promise<Buffer | undefined> {
  const answer = await fetch(url, {
    headers: { accept: manifestTypes, ...(authorization === undefined ? {} : { authorization }) },
  });
  return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function digestOfTag(
  host: string,
  repository: string,
  authorization?: string,
): Promise<string | undefined> {
  const bytes = await read(`http://${host}/v2/${repository}/manifests/latest`, authorization);
  return bytes === undefined ? undefined : digestOf(bytes);
}

interface Reading {
  readonly builds: readonly StoredBuild[];
  readonly asked: readonly Asked[];
  /** Takes the texts of all configurations and layers. */
  readonly documents: string[];
  readonly options: Gathering;
}

/** Looks at what a build has published as soon as that is there, so that there is less to do at the end. */
export async function witness(lab: Lab, order: Order): Promise<void> {
  const stored = (await readStore(lab.data)).find(({ id }) => id === order.build);
  if (stored === undefined || order.build === undefined) return;
  const asked = { ...order, build: order.build, tag: `${order.repository}:latest` };
  await readImages(lab, { builds: [stored], asked: [asked], documents: [], options: {} });
}

const judged = new WeakMap<Lab, Map<string, PublishedImage>>();

/** Images that were judged after an earlier fault are not run again. */
async function readImages(lab: Lab, reading: Reading): Promise<PublishedImage[]> {
  const known = judged.get(lab) ?? new Map<string, PublishedImage>();
  judged.set(lab, known);
  const images: PublishedImage[] = [];
  for (const { id, status, digest } of reading.builds) {
    const tag = reading.asked.find(({ build }) => build === id)?.tag;
    if (status !== 'succeeded' || digest === undefined || tag === undefined) continue;
    const image = known.get(id) ?? (await readImage(lab, { id, digest, tag }, reading));
    if (image === undefined) continue;
    known.set(id, image);
    images.push(image);
  }
  return images;
}

async function readImage(
  lab: Lab,
  { id, digest, tag }: { id: string; digest: string; tag: string },
  { documents, options: { authorization } }: Reading,
): Promise<PublishedImage | undefined> {
  const repository = tag.slice(0, tag.lastIndexOf(':'));
  const base = `http://${lab.registry.host}/v2/${repository}`;
  const list = await read(`${base}/manifests/${digest}`, authorization);
  if (list === undefined) return undefined;
  const children = (childrenIn(list.toString()) ?? []).map(async (child) => {
    const manifest = await read(`${base}/manifests/${child.digest}`, authorization);
    const { config, layers = [] }: { config?: { digest: string }; layers?: { digest: string }[] } =
      JSON.parse(manifest?.toString() ?? '{}');
    const blobs = await Promise.all(
      [config, ...layers].map(async (blob) => ({
        digest: blob?.digest,
        bytes: await read(`${base}/blobs/${blob?.digest}`, authorization),
      })),
    );
    const [configuration, ...contents] = blobs.map(({ bytes }) => bytes ?? Buffer.of());
    documents.push(
      configuration?.toString() ?? '',
      ...contents.map((bytes) => gunzipSync(bytes).toString('latin1')),
    );
    return {
      listed: child.platform,
      configured: nameOf(JSON.parse(configuration?.toString() || '{}')),
      whole:
        digestOf(list) === digest &&
        manifest !== undefined &&
        digestOf(manifest) === child.digest &&
        blobs.every((blob) => blob.bytes !== undefined && digestOf(blob.bytes) === blob.digest),
      printed: await printedBy(lab, `${repository}@${child.digest}`, child.platform),
    };
  });
  const platforms = await Promise.all(children);
  return { build: id, digest, platforms };
}

/** Pulled from the registry itself, past proxy and witness. */
async function printedBy(lab: Lab, name: string, platform: string): Promise<string> {
  const reference = `${lab.registry.host}/${name}`;
  const docker = ['-H', lab.witness?.host ?? '', '--config', `${lab.farm.env['DOCKER_CONFIG']}`];
  const options = ['--rm', '--network', 'none', '--pull', 'always', '--platform', platform];
  try {
    const { stdout } = await run('docker', [...docker, 'run', ...options, reference]);
    return stdout.trim();
  } catch (error) {
    return String(error);
  }
}

async function readLogs(directory: string): Promise<Map<string, LoggedFrame[]>> {
  const logs = new Map<string, LoggedFrame[]>();
  for (const name of await readdir(directory)) {
    const lines = (await readFile(`${directory}/${name}`, 'utf8')).split('\n').slice(0, -1);
    logs.set(
      basename(name, '.ndjson'),
      lines.map((line): LoggedFrame => JSON.parse(line)),
    );
  }
  return logs;
}

interface Search {
  readonly documents: readonly string[];
  readonly secrets: readonly string[];
}

async function findLeaks(lab: Lab, { documents, secrets }: Search): Promise<string[]> {
  const isIn = (text: string): boolean => secrets.some((secret) => text.includes(secret));
  const leaks = documents.some(isIn) ? ['a published image'] : [];
  for (const entry of await readdir(lab.farm.dir, { recursive: true, withFileTypes: true })) {
    const path = `${entry.parentPath}/${entry.name}`;
    if (!entry.isFile()) continue;
    // What is gone meanwhile was temporary.
    if (isIn(await readFile(path, 'latin1').catch(() => ''))) leaks.push(path);
  }
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const file of ['cmdline', 'environ']) {
      if (isIn(await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')))
        leaks.push(`/proc/${pid}/${file}`);
    }
  }
  return leaks;
}
