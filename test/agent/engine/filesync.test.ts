import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fileSyncMethods, type FileSyncOptions } from '../../../agent/engine/filesync.ts';
import { serveGrpc } from '../../../agent/engine/grpc.ts';
import { MtimeStore, type MtimeLease } from '../../../agent/engine/mtimes.ts';
import { digestOf } from '../../../shared/context/encoding.ts';
import type { Selection } from '../../../shared/context/select.ts';
import type { ContextSource } from '../../../shared/context/tree.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { file, hardlink, link, memoryContext, type Contents } from './memory-context.ts';
import { connectEngine, receiveTree } from './sync-receiver.ts';

interface Sync extends AsyncDisposable {
  readonly engine: ClientHttp2Session;
  readonly mtimes: MtimeLease;
  readonly records: MtimeStore;
  /** What calls ended with. */
  readonly errors: readonly Error[];
  /** Closes the session, as when a build ends. */
  end(): Promise<void>;
}

/** A session that serves these contents, and an engine that is connected to it. */
async function startSync(contents: Contents, change: Partial<FileSyncOptions> = {}): Promise<Sync> {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 'session.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const engine = connectEngine(connect(path));
  const [socket] = await accepted;
  const context = memoryContext();
  const tree = context.add(contents);
  const records = new MtimeStore(join(directory.path, 'mtimes'));
  const mtimes = await records.open('key');
  const errors: Error[] = [];
  const session = serveGrpc(socket, {
    onError: (error) => errors.push(error),
    methods: fileSyncMethods({
      trees: { context: tree, dockerfile: tree },
      source: context,
      mtimes,
      platform: 'linux/arm64',
      onBytes: () => {},
      ...change,
    }),
  });
  return {
    engine,
    mtimes,
    records,
    errors,
    end: async () => session[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      engine.destroy();
      server.close();
      await once(server, 'close');
      await mtimes[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A source of contents that are not those of `memoryContext`; times are. */
function sourceOf(contents: Contents, change: (context: ContextSource) => Partial<ContextSource>) {
  const context = memoryContext();
  const tree = context.add(contents);
  const changed = { ...context, ...change(context) };
  const source: ContextSource = {
    ...changed,
    blob: (digest, size, signal) => (context.isTimes(digest) ? context : changed).blob(digest, size, signal),
  };
  return { trees: { context: tree, dockerfile: tree }, source };
}

const some: Contents = {
  'a/empty': file(''),
  'a/large': file(Buffer.alloc(3_000_000, 'large')),
  'a/set-id': file('x', { mode: 0o4751 }),
  'b/link': link('../a/large'),
  'b/one': file('linked', { mtime: -1n }),
  'c/two': hardlink('b/one'),
  'über größe\n日本': file('odd'),
};

test('gives every entry once, and the contents that are asked for', async () => {
  const sent: number[] = [];
  await using sync = await startSync(some, { onBytes: (bytes) => sent.push(bytes) });
  const tree = await receiveTree(sync.engine, {});
  assert.is(tree.error, undefined);
  assert.is(tree.status, 0);
  assert.equal(
    tree.entries.map(({ path, linkname }) => (linkname === '' ? path : `${path} -> ${linkname}`)),
    [
      'a',
      'a/empty',
      'a/large',
      'a/set-id',
      'b',
      'b/link -> ../a/large',
      'b/one',
      'c',
      'c/two -> b/one',
      'über größe\n日本',
    ],
  );
  const contents = Object.entries(some).flatMap(([path, { content }]) =>
    content === undefined ? [] : [[path, digestOf(content)] as const],
  );
  assert.equal(new Map(tree.contents), new Map(contents));
  assert.is(
    sent.reduce((sum, bytes) => sum + bytes, 0),
    contents.reduce((sum, [path]) => sum + (some[path]?.content?.length ?? 0), 0),
  );
  assert.ok(Math.max(...sent) <= 65_536);
  const setId = tree.entries.find(({ path }) => path === 'a/set-id');
  assert.is(setId?.mode, 2 ** 23 + 0o751);
});

test('asks the source for nothing that the engine has', async () => {
  const asked: string[] = [];
  const given = sourceOf(some, (context) => ({
    blob(digest, size, signal) {
      asked.push(digest);
      return context.blob(digest, size, signal);
    },
  }));
  await using sync = await startSync({}, given);
  const tree = await receiveTree(sync.engine, { wants: ({ path }) => path === 'b/one' });
  assert.is(tree.status, 0);
  assert.equal(asked, [digestOf(Buffer.from('linked'))]);
});

test('selects by the headers of the call, and says so first', async () => {
  const selections: unknown[] = [];
  await using sync = await startSync(some, {
    onSelection: (root, selection) => selections.push({ root: root.slice(0, 7), selection }),
  });
  const tree = await receiveTree(sync.engine, {
    headers: {
      followpaths: ['b/link', queryEscaped('über größe\n日本')],
      'followpaths-encoded': '1',
      'exclude-patterns': '**/two',
    },
  });
  const paths = ['a', 'a/large', 'b', 'b/link', 'über größe\n日本'];
  assert.equal(
    tree.entries.map(({ path }) => path),
    paths,
  );
  const followed = ['b/link', 'über größe\n日本'];
  const selection = { followPaths: followed, includePatterns: [], excludePatterns: ['**/two'] };
  assert.equal(selections, [{ root: 'sha256:', selection }]);
});

test('reads encoded headers as Go does, blanks and what is no encoding included', async () => {
  const selections: Selection[] = [];
  await using sync = await startSync(
    { 'a b+c': file('1'), ä: file('2'), '100%': file('3'), 'd+e': file('4') },
    { onSelection: (_, selection) => selections.push(selection) },
  );
  const tree = await receiveTree(sync.engine, {
    headers: {
      followpaths: ['a b+c', 'ä'].map(queryEscaped),
      'followpaths-encoded': 'true',
      // Neither is encoded.
      'include-patterns': ['100%', 'd+e'],
      'include-patterns-encoded': '0',
      'exclude-patterns': ['%zz', '%FF', '%e4%'],
      'exclude-patterns-encoded': 'T',
    },
  });
  assert.equal(
    tree.entries.map(({ path }) => path),
    ['100%', 'a b+c', 'd+e', 'ä'],
  );
  assert.equal(selections, [
    {
      followPaths: ['a b+c', 'ä'],
      includePatterns: ['100%', 'd+e'],
      excludePatterns: ['', '\uFFFD', ''],
    },
  ]);
});

test('tells a hard link as it told the file, even when a build beside it tells the file otherwise meanwhile', async () => {
  const contents = { 'a/one': file('linked', { mtime: 5n }), 'b/two': hardlink('a/one') };
  let other: MtimeLease | undefined;
  const given = sourceOf(contents, (context) => ({
    async directory(digest, signal) {
      const directory = await context.directory(digest, signal);
      // Between the file and the link.
      if (directory.entries.some(({ type }) => type === 'hardlink')) {
        other?.serve('context/a/one', {
          mode: 0o644,
          size: 6,
          digest: digestOf(Buffer.from('other')),
          mtime: 9n,
        });
      }
      return directory;
    },
  }));
  await using sync = await startSync({}, given);
  // What an earlier build told, and this one keeps.
  sync.mtimes.serve('context/a/one', {
    mode: 0o644,
    size: 6,
    digest: digestOf(Buffer.from('linked')),
    mtime: 3n,
  });
  other = await sync.records.open('key');
  const { entries } = await receiveTree(sync.engine, {});
  const [, one, , two] = entries;
  assert.is(two?.linkname, 'a/one');
  assert.is(one?.mtime, 3n);
  assert.equal({ ...two, path: '', linkname: '' }, { ...one, path: '' });
  await other[Symbol.asyncDispose]();
});

test('a content that cannot be had ends the sync with its name and the platform, however many wait', async () => {
  const contents = Object.fromEntries(
    Array.from({ length: 2000 }, (_, index) => [`app/${index}`, file(`content ${index}`)]),
  );
  for (const [cause, code] of [
    [new ArchfarmError('blobs-lost', 'nobody has it'), 'blobs-lost'],
    [new Error('EIO: i/o error'), 'internal'],
  ] as const) {
    const lost = digestOf(Buffer.from('content 1234'));
    const given = sourceOf(contents, (context) => ({
      async blob(digest, size, signal) {
        if (digest === lost) throw cause;
        return context.blob(digest, size, signal);
      },
    }));
    await using sync = await startSync({}, given);
    const tree = await receiveTree(sync.engine, {});
    assert.is(tree.error, `app/1234 for linux/arm64: ${cause.message}`);
    assert.is(tree.status, 2);
    const [error] = sync.errors;
    assert.is(error instanceof ArchfarmError && error.code, code);
  }
});

test('an error that names the file already does not name it twice', async () => {
  const given = sourceOf({ 'app/small': file('content') }, () => ({
    blob: () => Promise.reject(new ArchfarmError('context-changed', '"app/small" changed while it was read')),
  }));
  await using sync = await startSync({}, given);
  const tree = await receiveTree(sync.engine, {});
  assert.is(tree.error, '"app/small" changed while it was read for linux/arm64');
});

test('a content that breaks off in the middle ends the sync with its name', async () => {
  const given = sourceOf(some, () => ({
    blob: async (_digest, size) =>
      (async function* () {
        yield Buffer.alloc(Math.min(size, 100));
        if (size > 100) throw new ArchfarmError('context-changed', 'it is not what it was');
      })(),
  }));
  await using sync = await startSync({}, given);
  const tree = await receiveTree(sync.engine, {});
  assert.is(tree.error, 'a/large for linux/arm64: it is not what it was');
});

test('never stops without a word: a directory, the record or the selection that fails', async () => {
  const failing: readonly [string, Partial<FileSyncOptions>][] = [
    [
      'no such directory',
      sourceOf(some, () => ({
        directory: async () => {
          throw new ArchfarmError('blobs-lost', 'no such directory');
        },
      })),
    ],
    [
      'selection',
      {
        onSelection() {
          throw new Error('selection');
        },
      },
    ],
  ];
  for (const [message, change] of failing) {
    await using sync = await startSync(some, change);
    const tree = await receiveTree(sync.engine, {});
    assert.is(tree.error, message);
    assert.is(tree.status, 2);
  }
  await using sync = await startSync(some);
  const tree = await receiveTree(sync.engine, { headers: { 'dir-name': 'elsewhere' } });
  assert.match(tree.error ?? '', /no context named elsewhere/);
  const invalid = await receiveTree(sync.engine, { headers: { 'exclude-patterns': '[' } });
  assert.match(invalid.error ?? '', /invalid pattern "\["/);
});

test('an abort while a content is awaited ends the call', async () => {
  let isAsked = false;
  const given = sourceOf(some, () => ({
    blob(_digest, _size, signal) {
      isAsked = true;
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
      });
    },
  }));
  await using sync = await startSync({}, given);
  const receiving = receiveTree(sync.engine, {});
  await until(() => isAsked);
  await sync.end();
  const tree = await receiving;
  assert.is(tree.status, undefined);
  assert.is(tree.contents.size, 0);
});

test('reads no further ahead of an engine that is slow than its bounds', async () => {
  const contents = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`f${index}`, file(Buffer.alloc(4_000_000, index))]),
  );
  let read = 0;
  const given = sourceOf(contents, (context) => ({
    async blob(digest, size, signal) {
      const chunks = await context.blob(digest, size, signal);
      return (async function* () {
        for await (const chunk of chunks) {
          read += chunk.length;
          yield chunk;
        }
      })();
    },
  }));
  await using sync = await startSync({}, given);
  let paused: Readable | undefined;
  const receiving = receiveTree(sync.engine, {
    onData(stream) {
      if (paused === undefined) paused = stream.pause();
    },
  });
  await until(() => paused);
  let last = -1;
  await until(() => {
    const isStill = last === read && read > 0;
    last = read;
    return isStill;
  });
  assert.ok(read < 16_000_000, String(read));
  paused?.resume();
  const tree = await receiving;
  assert.is(tree.contents.size, 40);
});

/** As Go's `url.QueryEscape`, which BuildKit has for lists with a value that is not ASCII. */
function queryEscaped(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

test.run();
