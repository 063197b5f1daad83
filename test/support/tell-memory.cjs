/**
 * Loaded into a process by NODE_OPTIONS. It answers at the socket ARCHFARM_TEST_MEMORY who it is and what it holds once
 * nothing is left to collect, and adds to the file ARCHFARM_TEST_PEAK how much memory it ever had when it ends.
 */
const { appendFileSync, readFileSync } = require('node:fs');
const { createServer } = require('node:net');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { isMainThread } = require('node:worker_threads');

const { ARCHFARM_TEST_MEMORY: socket, ARCHFARM_TEST_PEAK: peaks } = process.env;

if (isMainThread && socket !== undefined) {
  // Its own children are not asked.
  delete process.env.ARCHFARM_TEST_MEMORY;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const server = createServer((connection) => {
    connection.on('error', () => {});
    collect();
    const { heapUsed, external } = process.memoryUsage();
    connection.end(JSON.stringify({ pid: process.pid, held: heapUsed + external }));
  });
  server.listen(socket).unref();
}

if (isMainThread && peaks !== undefined) {
  // Not what getrusage(2) tells: that begins with what the process had that it was forked from.
  process.on('exit', () => {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    appendFileSync(peaks, `${kilobytes * 1024}\n`);
  });
}
