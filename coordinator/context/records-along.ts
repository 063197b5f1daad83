/** Directories and times that go along with a submission: to be asked for those of a small tree takes longer. */
import type { Snapshot } from './snapshot.ts';

/** Bytes of all of them: a small edit is to cost little of the line. */
const maxBytes = 32 * 1024;
/** Bytes that a record takes for any entry. */
const leastEntryBytes = 14;

/** None when the trees are too large for that. */
export function recordsAlong(snapshots: readonly Snapshot[]): readonly Buffer[] {
  const entries = snapshots.reduce((sum, snapshot) => sum + snapshot.entries, 0);
  if (entries * leastEntryBytes > maxBytes) return [];
  const records = snapshots.flatMap(({ directories, allTimes }) =>
    [...directories, ...allTimes].map(([, record]) => record),
  );
  const bytes = records.reduce((sum, record) => sum + record.length, 0);
  return bytes <= maxBytes ? records : [];
}
