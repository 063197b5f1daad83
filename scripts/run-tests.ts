/**
 * Runs test files, each in a process of its own, and trusts nothing but the count: uvu exits 0 when a suite was
 * never run, when a test threw something else than an Error and when no file matched. Prints the output of the
 * files that failed; the last line is `N passed, N failed`.
 *
 *     node --import tsx scripts/run-tests.ts [--full] [--timeout SECONDS] [PATH…]
 */
import { chmod, readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { compileTests } from './compiled-tests.ts';
import { removeUnusedRuntimeDirectories, sweepDeadOwners } from './rig/leftovers.ts';
import { scratchDirectory } from './rig/scratch.ts';
import { startEmulation } from './rig/emulation.ts';
import { runTestFile, type TestFileOptions } from './test-file.ts';

const { values: flags, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    /** Also what takes long: the files see ARCHFARM_TEST_FULL=1. */
    full: { type: 'boolean', default: false },
    /** A file may take so many seconds; with --full, ten times as many. */
    timeout: { type: 'string', default: '600' },
  },
});

/** Files with whole farms, of which more than two at once take as much longer each. */
const heavy = /^test\/(e2e|chaos)\//;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

let passed = 0;
let failed = 0;
/** Said again at the end, where a long output is read first. */
const failures: string[] = [];
{
  await sweepDeadOwners();
  await using compiled = await scratchDirectory('compiled');
  await chmod(compiled.path, 0o755);
  const node = await compileTests(compiled.path);
  await using temporary = await scratchDirectory('tests');
  // Tests of what an unprivileged user may not do pass through it.
  await chmod(temporary.path, 0o755);
  const files = await testFiles();
  const env = {
    ...process.env,
    TMPDIR: temporary.path,
    // Whoever runs them may have signed in somewhere.
    XDG_CONFIG_HOME: `${temporary.path}/config`,
    // Builds of the tests are not those of the CI system that may run them.
    GITHUB_ACTIONS: undefined,
    GITLAB_CI: undefined,
    // Set for this process alone by the scripts: in TMPDIR tsx may keep its cache.
    TSX_DISABLE_CACHE: undefined,
    ...(flags.full ? { ARCHFARM_TEST_FULL: '1' } : {}),
  };
  const light = files.filter((file) => !heavy.test(file));
  // One more than there are processors: of their time a good part is waiting.
  await runAll(light, Math.max(2, availableParallelism()) + 1, { env, node });
  const withFarms = files.filter((file) => heavy.test(file));
  const emulated = await filesNaming(/arm64|startEmulation/, withFarms);
  await runAll(
    withFarms.filter((file) => !emulated.has(file)),
    2,
    { env, node },
  );
  if (emulated.size > 0) {
    // For these alone: while there is an emulator, engines try it several times in every build.
    await using _emulation = await startEmulation();
    await runAll([...emulated], 2, { env, node });
  }
  if (files.length === 0) fail('no test file matches');
  if (interrupted.signal.aborted) fail('interrupted');
  const left = (await readdir(temporary.path)).filter((name) => !/^(tsx|node-compile-cache)/.test(name));
  if (left.length > 0) fail(`left behind in the directory for temporary files: ${left.join(', ')}`);
  // What failed files left is reported by now.
  await sweepDeadOwners();
  await removeUnusedRuntimeDirectories();
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Files at or below the paths that were given; all without any. */
async function testFiles(): Promise<string[]> {
  const all = (await readdir('test', { recursive: true })).map((entry) => `test/${entry}`);
  const wanted = filters.map((filter) => relative('.', filter));
  return all
    .filter((file) => file.endsWith('.test.ts'))
    .filter(
      (file) => wanted.length === 0 || wanted.some((path) => file === path || file.startsWith(`${path}/`)),
    )
    .toSorted();
}

async function filesNaming(what: RegExp, files: readonly string[]): Promise<Set<string>> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return new Set(files.filter((_, index) => what.test(texts[index] ?? '')));
}

async function runAll(
  files: readonly string[],
  width: number,
  options: Omit<TestFileOptions, 'timeout'>,
): Promise<void> {
  const queue = files.values();
  const work = async (): Promise<void> => {
    for (const file of queue) if (!interrupted.signal.aborted) await runOne(file, options);
  };
  await Promise.all(Array.from({ length: width }, work));
}

async function runOne(file: string, options: Omit<TestFileOptions, 'timeout'>): Promise<void> {
  const started = performance.now();
  const timeout = Number(flags.timeout) * 1000 * (flags.full ? 10 : 1);
  const result = await runTestFile(file, { ...options, timeout, signal: interrupted.signal });
  passed += result.passed;
  failed += result.failed;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (result.faults.length === 0) console.log(`${file}: ${result.passed} passed in ${seconds} s`);
  else {
    failures.push(`${file}: ${result.faults.join('; ')}`);
    console.log(`${file}: FAILED: ${result.faults.join('; ')}\n${indented(result.output)}`);
  }
}

function indented(output: string): string {
  return output.trim().replaceAll(/^/gm, '    ');
}

function fail(message: string): void {
  failed += 1;
  failures.push(message);
}
