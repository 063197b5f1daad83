import { spawn } from 'node:child_process';
import { test } from 'uvu';

test('leaves a process in a session of its own', () => {
  spawn('sleep', ['60'], { detached: true, stdio: 'inherit' }).unref();
});
test.run();
