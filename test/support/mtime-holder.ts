/** Opens a record of modification times, tells of one file, says the shared key, and closes the record when its input ends. */
import { text } from 'node:stream/consumers';
import { MtimeStore } from '../../agent/engine/mtimes.ts';
import { digestOf } from '../../shared/context/encoding.ts';

const [directory = '', content = '', mtime = ''] = process.argv.slice(2);
await using lease = await new MtimeStore(directory).open('key');
lease.serve('context/f', {
  mode: 0o644,
  size: content.length,
  digest: digestOf(Buffer.from(content)),
  mtime: BigInt(mtime),
});
await lease.flush();
process.stdout.write(`${lease.sharedKey}\n`);
await text(process.stdin);
