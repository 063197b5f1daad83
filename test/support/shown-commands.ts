/** Runs commands as a document shows them, in a shell, where its hosts, ports and directories are those of a test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { commandBlocks, type Document } from './documents.ts';
import type { EndedCommand } from './archfarm-command.ts';

export interface ShownCommandsOptions {
  /** Where they run. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** What stands in the document, and what takes its place; in this order. */
  readonly replaced: readonly (readonly [shown: string, meant: string])[];
}

export class ShownCommands {
  readonly #options: ShownCommandsOptions;
  readonly #path: string;

  private constructor(options: ShownCommandsOptions, path: string) {
    this.#options = options;
    this.#path = path;
  }

  /** `archfarm` and `archfarm-agent` are those that `npm run build` made. */
  static async open(options: ShownCommandsOptions): Promise<ShownCommands> {
    const programs = `${options.directory}/.programs`;
    await mkdir(programs, { recursive: true });
    for (const name of ['archfarm', 'archfarm-agent']) {
      const script = `#!/bin/sh\nexec '${process.execPath}' '${dirname(archfarmCommand)}/${name}.js' "$@"\n`;
      await writeFile(`${programs}/${name}`, script, { mode: 0o755 });
    }
    // Whoever runs tests is root already.
    await writeFile(`${programs}/sudo`, '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
    return new ShownCommands(options, `${programs}:${process.env['PATH']}`);
  }

  /** To the end, or to the first command that fails. */
  async run(block: string, env: NodeJS.ProcessEnv = {}, input = ''): Promise<EndedCommand> {
    const child = spawn('/bin/bash', ['-e', '-o', 'pipefail', '-c', this.#meant(block)], {
      cwd: this.#options.directory,
      env: this.#environment(env),
    });
    // It may have ended without reading any.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { status: child.exitCode, stdout, stderr };
  }

  /** Of a block whose last command goes on. */
  start(block: string, { log, env = {}, ready }: StartOptions): Promise<Daemon> {
    const commands = this.#meant(block).trimEnd().split('\n');
    const [last = '', ...before] = commands.toReversed();
    const script = [`cd '${this.#options.directory}'`, ...before.toReversed(), `exec ${last}`].join('\n');
    return startDaemon(['/bin/bash', '-e', '-c', script], { log, env: this.#environment(env), ready });
  }

  #meant(block: string): string {
    return this.#options.replaced.reduce((all, [shown, meant]) => all.replaceAll(shown, meant), block);
  }

  #environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { ...this.#options.env, ...env, PATH: this.#path };
  }
}

interface StartOptions {
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly ready: () => Promise<boolean>;
}

/** The one block of a document that has this in it. */
export function blockWith(document: Document, part: string): string {
  const found = commandBlocks(document.text).filter((block) => block.includes(part));
  const [block] = found;
  if (block === undefined || found.length > 1)
    throw new Error(`${document.path}: ${found.length} blocks with ${part}`);
  return block;
}
