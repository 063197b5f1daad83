/** Every fault at every request of a publish: two images, two tags of a third repository, and a registry that misbehaves. */
import type { IncomingMessage } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { publish } from '../../../coordinator/manifest/publish.ts';
import { verifyImage } from '../../../coordinator/manifest/verify.ts';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { defaultTiming } from '../../../coordinator/registry/timing.ts';
import { ArchfarmError, messageOf } from '../../../shared/errors.ts';
import { parsePlatform } from '../../../shared/platform.ts';
import { parseReference } from '../../../shared/reference.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { signedIn } from '../../support/docker-config.ts';
import { startFaultProxy, type Hook } from '../../support/fault-proxy.ts';
import { startServer } from '../../support/logged-server.ts';
import { registryFaults, type Fault } from '../../support/registry-faults.ts';
import { digestOf, pushDocument, pushSample } from '../../support/sample-image.ts';

const password = 'not-to-be-told';
const authorization = `Basic ${Buffer.from(`bob:${password}`).toString('base64')}`;
/** Milliseconds: for a whole publish, for an answer on a busy machine, and for one that is known not to come. */
const deadline = 120_000;
const patience = 10_000;
const little = 1_500;
const timing = {
  ...defaultTiming,
  tries: 3,
  firstPause: 1,
  maxPause: 2,
  maxRetryAfter: 20,
  idle: patience,
  answer: patience,
};
/** Bytes, of the first image: the least that goes in pieces. */
const layerSize = 256 * 1024;
/** Runs at once, and besides of those that do nothing but wait. */
const atOnce = 12;
const waiting = 24;

const registry = await startRegistry({ inMemory: true });
/** Where nothing of ours belongs, and which says yes to everything. */
const shown: string[] = [];
const elsewhere = await startServer((request, response) => {
  shown.push(String(request.headers.authorization));
  request.resume();
  response.writeHead(request.method === 'PUT' ? 201 : 200).end();
});
const faults = registryFaults(elsewhere.host);
const images = await Promise.all(
  (['linux/amd64', 'linux/arm64'] as const).map(async (text, index) => {
    const platform = parsePlatform(text);
    const repository = `app-${index}`;
    const { reported } = await pushSample(
      { host: registry.host, repository },
      { platform, layers: 1, layerSize: index === 0 ? layerSize : 100 },
    );
    await using registries = new Registries({ configDirectory: '/nonexistent', timing });
    const reference = parseReference(`${registry.host}/${repository}`);
    return await verifyImage({ reported, reference, platform }, registries, new AbortController().signal);
  }),
);
const old = emptyList();
let targets = 0;

interface Way {
  readonly name: string;
  /** What this registry does to every publish. */
  readonly hook: Hook;
  /** What sets its requests apart from those of the ways before it. */
  readonly own: RegExp;
  /** Requests to spoil, at least. */
  readonly least: number;
  /** Of the images, the first so many. */
  readonly images: number;
}

/** The last one, which repeats most of the second, with --full alone. */
const ways: readonly Way[] = [
  { name: 'mounts', hook: () => false, own: /./, least: 10, images: 2 },
  { name: 'copies', hook: withoutMount, own: /\/blobs\//, least: 4, images: 2 },
  {
    name: 'takes no layer in one piece',
    hook: (request, response) => {
      if (request.headers['content-length'] !== String(layerSize)) return withoutMount(request);
      request.resume();
      response.writeHead(413).end();
      return true;
    },
    own: /^PATCH | of nothing$/,
    least: 2,
    images: 1,
  },
];

function withoutMount(request: IncomingMessage): false {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
  if (searchParams.has('mount')) request.url = pathname;
  return false;
}

interface Spoiled {
  /** As `run` names requests. */
  readonly request: string;
  readonly fault: Fault;
  readonly always: boolean;
}

interface Ended {
  readonly error: unknown;
  readonly digest: string | undefined;
  /** Names of the requests: alike in every publish, and the second of a name ends in ` 2`. */
  readonly requests: readonly string[];
  readonly repository: string;
  readonly published: typeof images;
}

/** On a busy machine other requests may take longer than one that hangs is waited for: then that is longer, too. */
async function runToIt(way: Way, spoiled: Spoiled): Promise<Ended> {
  for (let wait = little; ; wait *= 2) {
    const ended = await run(way, spoiled, wait);
    const met = ended.requests.includes(spoiled.request);
    if (met || spoiled.fault.hangs !== true || wait > patience) return ended;
  }
}

/** `wait`: milliseconds for a request that hangs. */
async function run(way: Way, spoiled?: Spoiled, wait = patience): Promise<Ended> {
  const repository = `target-${++targets}`;
  const target = { host: registry.host, repository };
  await Promise.all(['one', 'two'].map((tag) => pushDocument({ ...target, tag }, old)));
  const requests: string[] = [];
  await using proxy = await startFaultProxy(registry.host, (request, response) => {
    if (request.headers.authorization !== authorization) {
      request.resume();
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      return true;
    }
    const plain = `${request.method} ${request.url}`
      .replaceAll(repository, 'target')
      .replace(/uploads\/[\w-]{30,}\?.*?(?=digest=|$)/, 'uploads/ID?')
      .concat(request.method === 'PUT' && request.headers['content-length'] === '0' ? ' of nothing' : '');
    const times = requests.filter((each) => each.replace(/ \d+$/, '') === plain).length;
    requests.push(times === 0 ? plain : `${plain} ${times + 1}`);
    const isMeant = spoiled?.always === true ? plain : requests.at(-1);
    if (spoiled !== undefined && isMeant === spoiled.request) {
      void way.hook(request, response);
      return spoiled.fault.hook(request, response);
    }
    return way.hook(request, response);
  });
  await using config = await signedIn(proxy.host, `bob:${password}`);
  await using registries = new Registries({
    configDirectory: config.path,
    timing: spoiled?.fault.hangs === true ? { ...timing, tries: 2, idle: wait, answer: wait } : timing,
  });
  const published = images.slice(0, way.images);
  const children = published.map((image) => ({
    ...image,
    repository: image.repository.replace(registry.host, proxy.host),
  }));
  const tags = ['one', 'two'].map((tag) => `${proxy.host}/${repository}:${tag}`);
  const { signal } = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the publish does not end')), deadline);
  });
  try {
    const work = publish({ children, tags }, registries, { signal, onEvent: () => {} });
    const { descriptor } = await Promise.race([work, late]);
    return { error: undefined, digest: descriptor.digest, requests, repository, published };
  } catch (error) {
    return { error, digest: undefined, requests, repository, published };
  } finally {
    clearTimeout(timer);
  }
}

/** What both tags stand for before. */
function emptyList() {
  const mediaType = 'application/vnd.docker.distribution.manifest.list.v2+json';
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] }));
  return { mediaType, bytes, digest: digestOf(bytes) };
}

async function digestAt(repository: string, path: string): Promise<string> {
  const accept = [old.mediaType, ...images.map(({ descriptor }) => descriptor.mediaType)].join(', ');
  const answer = await fetch(`http://${registry.host}/v2/${repository}/${path}`, {
    method: 'HEAD',
    headers: { accept },
  });
  return answer.headers.get('docker-content-digest') ?? String(answer.status);
}

/** What is wrong with how a publish ended; nothing for a list in whole, or an error and the tags as they were. */
async function complaints(ended: Ended, list: string): Promise<string[]> {
  const { error, repository, published } = ended;
  const tags = await Promise.all(['one', 'two'].map((tag) => digestAt(repository, `manifests/${tag}`)));
  if (error === undefined) {
    const parts = published.flatMap(({ descriptor, blobs }) => [
      ['manifests', descriptor.digest],
      ...blobs.map(({ digest }) => ['blobs', digest]),
    ]);
    const found = await Promise.all(
      parts.map(async ([kind, digest]) => (await digestAt(repository, `${kind}/${digest}`)) === digest),
    );
    return [
      ...(ended.digest === list ? [] : ['gives another list']),
      ...(tags.every((tag) => tag === list) ? [] : [`succeeds with the tags at ${tags.join(' and ')}`]),
      ...(found.every(Boolean) ? [] : ['succeeds without all that the list names']),
    ];
  }
  const message = messageOf(error);
  const all = `${message} ${error instanceof ArchfarmError ? error.hint : ''}`;
  const kept = tags.map(
    (tag, index) =>
      tag === old.digest ||
      (tag === list &&
        message.includes(`not to be put back`) &&
        message.includes(`:${['one', 'two'][index]} (`)),
  );
  return [
    ...(error instanceof ArchfarmError && error.exitStatus === 3
      ? []
      : [`fails with something else: ${message}`]),
    ...(kept.every(Boolean) ? [] : [`fails with the tags at ${tags.join(' and ')}: ${message}`]),
    ...(/127\.0\.0\.1:\d+/.test(message) ? [] : [`names no registry: ${message}`]),
    ...([password, authorization.slice('Basic '.length)].some((secret) => all.includes(secret))
      ? [`tells: ${all}`]
      : []),
    // eslint-disable-next-line no-control-regex
    ...(/\p{Cc}/u.test(message) ? ['carries control characters'] : []),
  ];
}

/** Once; and always where the request is sent again, or a tag may have to go back. */
function modes(request: string, { passing, hangs = false }: Fault): readonly boolean[] {
  return passing || hangs || /^PUT .*\/(one|two)$/.test(request) ? [false, true] : [false];
}

/** The same for every blob, and for both images. */
function kindOf(request: string): string {
  const digests = images.flatMap(({ descriptor, blobs }) =>
    [descriptor, ...blobs].map(({ digest }) => digest),
  );
  return digests
    .reduce((text, digest) => text.replace(digest, '').replace(encodeURIComponent(digest), ''), request)
    .replace(/\bapp-\d/, 'app')
    .replace(/ \d+$/, '');
}

for (const way of process.env['ARCHFARM_TEST_FULL'] === '1' ? ways : ways.slice(0, 2)) {
  test(`where a registry ${way.name}: the list in whole, or an error and both tags as they were`, async () => {
    const clean = await run(way);
    assert.is(clean.error, undefined);
    const list = String(clean.digest);
    assert.equal(await complaints(clean, list), []);
    const kinds = new Map(clean.requests.toReversed().map((request) => [kindOf(request), request]));
    const differing = [...kinds.values()].filter((each) => way.own.test(each));
    assert.ok(differing.length >= way.least, JSON.stringify(differing));
    const cases = differing.flatMap((request) =>
      faults.flatMap((fault) => modes(request, fault).map((always): Spoiled => ({ request, fault, always }))),
    );
    const wrong: string[] = [];
    const work = async (queue: Iterable<Spoiled>): Promise<void> => {
      for (const spoiled of queue) {
        const ended = await runToIt(way, spoiled);
        const { request, fault, always } = spoiled;
        const found = await complaints(ended, list);
        if (fault.passing && !always && ended.error !== undefined) {
          found.push(`does not try again: ${messageOf(ended.error)}`);
        }
        if (!ended.requests.includes(request)) found.push('was not met');
        wrong.push(
          ...found.map((what) => `${fault.name}${always ? ', always,' : ''} at ${request}: ${what}`),
        );
      }
    };
    const patient = cases.filter(({ fault }) => fault.hangs === true).values();
    const others = cases.filter(({ fault }) => fault.hangs !== true).values();
    await Promise.all([
      ...Array.from({ length: waiting }, () => work(patient)),
      ...Array.from({ length: atOnce }, () => work(others)),
    ]);
    assert.equal(wrong, []);
    assert.not(
      shown.some((header) => header !== 'undefined'),
      'credentials went elsewhere',
    );
  });
}

test('what served ends', async () => {
  await elsewhere[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

test.run();
