/** A process that stores builds as fast as it can and prints the number of each one that is stored. */
import { SqliteStore } from '../../coordinator/store/sqlite.ts';
import { sampleSpec } from './farm-fixtures.ts';

const [directory = '', kind] = process.argv.slice(2);
const store = await SqliteStore.open(directory, { driver: kind === 'node' ? 'node' : 'libsql' });
for (let sequence = 1; ; sequence++) {
  const build = { id: `b${sequence}`, sequence, spec: sampleSpec(), client: 'test' };
  await store.append([{ type: 'submitted', at: sequence, build }]);
  process.stdout.write(`${sequence}\n`);
}
