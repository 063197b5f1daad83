/** Contexts, from the client's disk through both hops into images: what arrives, and how little is sent again. */
import { lstat, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startFarm } from '../../scripts/rig/farm.ts';
import { buildImage, platformOf, type EndedBuild } from '../support/build-command.ts';
import { listImage } from '../support/image-listing.ts';
import { publishBase, runImage } from '../support/image-run.ts';
import {
  digest,
  expectedListing,
  linkedNames,
  plainFiles,
  writeSampleContext,
} from '../support/sample-context.ts';
import { pullDocument } from '../support/sample-image.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { writeFiles } from '../support/write-files.ts';

const farm = await startFarm();
const directory = await temporaryDirectory();
const context = join(directory.path, 'context');
const dockerfile = `FROM ${await publishBase(farm)}\nCOPY . /x/\n`;
await writeFiles(context, { Dockerfile: dockerfile });
await writeSampleContext(context);
await utimes(join(context, 'twins/one/__init__.py'), 1e9, 1e9);
const platforms = ['linux/amd64', 'linux/arm64/v8'];
const expected = expectedListing();

const reference = `${farm.registry}/context`;
const edited = 'files/007/file-0742.txt';
const editedAt = new Date('2024-02-29T12:00:00Z');

function build(): Promise<EndedBuild> {
  const options = ['--platform', platforms.join(','), '--allow-emulation'];
  return buildImage(['-t', reference, ...options, context], { env: farm.env });
}

/** Writes it with a time of whole seconds, so that the same time can be set again. */
async function edit(content: string): Promise<void> {
  const path = join(context, edited);
  await writeFile(path, content);
  await utimes(path, editedAt, editedAt);
}

/** What both engines have in the file that was edited. */
async function assertEdited(content: string): Promise<void> {
  const command = ['busybox', 'sha256sum', `/x/${edited}`];
  for (const platform of ['linux/amd64', 'linux/arm64'] as const) {
    const printed = await runImage(farm, { reference, platform }, ...command);
    assert.is(printed, `${digest(content)}  /x/${edited}`, platform);
  }
}

test('an image holds the context, with its links, modes and names, and without what is ignored', async () => {
  const { result } = await build();
  assert.ok(Object.keys(expected).length > plainFiles);
  for (const platform of ['linux/amd64', 'linux/arm64'] as const) {
    const { listing, links, mtimes } = await listImage(farm, { reference, platform }, '/x');
    assert.equal(Object.keys(listing).toSorted(), Object.keys(expected).toSorted());
    for (const [path, entry] of Object.entries(expected)) assert.equal(listing[path], entry, path);
    for (const [name, other] of linkedNames) {
      const first = (path: string): string => links.get(path) ?? path;
      assert.is(first(name), first(other), `${name} is the same file as ${other}`);
    }
    for (const [path, mtime] of mtimes) {
      assert.is(mtime, Math.floor((await lstat(join(context, path))).mtimeMs / 1000), path);
    }
  }
  const { files, bytes, sentBytes } = result.context;
  assert.ok(files > plainFiles && bytes > 2_000_000 && sentBytes > bytes, JSON.stringify(result.context));
  for (const name of platforms) {
    assert.ok(platformOf(result, name).context.sentBytes > 2_000_000, name);
  }
});

test('after an edit only that file and the directories above it are sent, on both hops', async () => {
  const content = `${await readFile(join(context, edited), 'utf8')}one more line\n`;
  await edit(content);
  const { result } = await build();
  for (const name of platforms) {
    assert.is(platformOf(result, name).context.sentBytes, content.length, name);
  }
  // Three directories, of which one has a hundred names.
  const { sentBytes } = result.context;
  assert.ok(
    sentBytes > content.length && sentBytes < content.length + 24_000,
    `${sentBytes} bytes were sent`,
  );
  await assertEdited(content);
});

test('a build of what has not changed sends nothing, and gives what was there', async () => {
  const before = await pullDocument({ host: farm.registry, repository: 'context' }, 'latest');
  const { result } = await build();
  assert.is(result.context.sentBytes, 0);
  for (const name of platforms) assert.is(platformOf(result, name).context.sentBytes, 0, name);
  assert.is(result['containerimage.digest'], before?.digest);
});

test('a fresh clone sends the new times and no contents, and gives what was there', async () => {
  const before = await pullDocument({ host: farm.registry, repository: 'context' }, 'latest');
  let seconds = 1.2e9;
  for (const entry of await readdir(context, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    seconds += 1;
    await utimes(join(entry.parentPath, entry.name), seconds, seconds);
  }
  const { result } = await build();
  const { sentBytes, files } = result.context;
  assert.ok(sentBytes > 8 * plainFiles && sentBytes < 16 * files, `${sentBytes} bytes for ${files} files`);
  for (const name of platforms) assert.is(platformOf(result, name).context.sentBytes, 0, name);
  assert.is(result['containerimage.digest'], before?.digest);
  await utimes(join(context, edited), editedAt, editedAt);
});

test('new content under the old size and time is in the next image', async () => {
  const path = join(context, edited);
  const before = await lstat(path, { bigint: true });
  const content = (await readFile(path, 'utf8')).replaceAll('file', 'FILE');
  await edit(content);
  const after = await lstat(path, { bigint: true });
  assert.equal([after.size, after.mtimeNs], [before.size, before.mtimeNs]);
  const { result } = await build();
  for (const name of platforms) {
    assert.is(platformOf(result, name).context.sentBytes, content.length, name);
  }
  await assertEdited(content);
});

test('gives everything back', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();
