/** Makes a mistake in a copy of the source, and runs the simulation over it. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Mutation } from './mutations.ts';

const root = new URL('../..', import.meta.url).pathname;

/** A copy of the source that can be changed. */
export class MutableCopy implements AsyncDisposable {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async create(): Promise<MutableCopy> {
    const path = await mkdtemp(join(tmpdir(), 'archfarm-mutations-'));
    for (const part of ['agent', 'coordinator', 'shared', 'test/simulation', 'test/support', 'package.json'])
      await cp(join(root, part), join(path, part), { recursive: true });
    await symlink(join(root, 'node_modules'), join(path, 'node_modules'));
    return new MutableCopy(path);
  }

  /** What the simulation says of the mutated source; undefined where it finds nothing. */
  async violation(mutation: Mutation, seeds = `${mutation.seed}`): Promise<string | undefined> {
    const path = join(this.#path, mutation.file);
    const source = await readFile(path, 'utf8');
    const [before, after, ...more] = source.split(mutation.find);
    if (after === undefined || more.length > 0) {
      throw new Error(
        `${mutation.name}: ${mutation.file} has its text ${more.length === 0 ? 'not' : 'more than once'}: ${mutation.find}`,
      );
    }
    await writeFile(path, `${before}${mutation.replace}${after}`);
    try {
      return await this.#simulate(seeds);
    } finally {
      await writeFile(path, source);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
  }

  async #simulate(seeds: string): Promise<string | undefined> {
    const outfile = join(this.#path, 'run.mjs');
    await build({
      entryPoints: [join(this.#path, 'test/simulation/run.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      outfile,
    });
    return new Promise((resolve) => {
      execFile(process.execPath, [outfile, '--seeds', seeds, '--builds', '300'], (error, _stdout, stderr) =>
        resolve(error === null ? undefined : stderr.trim()),
      );
    });
  }
}
