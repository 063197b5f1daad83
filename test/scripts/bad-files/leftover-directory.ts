import { test } from 'uvu';
import { scratchDirectory } from '../../../scripts/rig/scratch.ts';

test('leaves a directory', async () => {
  await scratchDirectory('leftover');
});
test.run();
