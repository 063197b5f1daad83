/** apt with a state of its own: packages are fetched and verified as apt does it, and the machine's own state stays. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface AptOptions {
  /** File of the sources; no others are used. */
  readonly sources: string;
  /** As Debian calls it. */
  readonly architecture: string;
}

/** Runs `apt-get` with the lists of those sources, which it has in `dir`. */
export type Apt = (...args: readonly string[]) => Promise<void>;

export async function privateApt(dir: string, { sources, architecture }: AptOptions): Promise<Apt> {
  await mkdir(`${dir}/lists/partial`, { recursive: true });
  await mkdir(`${dir}/archives/partial`, { recursive: true });
  await writeFile(`${dir}/status`, '');
  const settings = {
    'Dir::State': dir,
    'Dir::State::status': `${dir}/status`,
    'Dir::Cache': dir,
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const apt: Apt = async (...args) => {
    await run('apt-get', [...flags, '-qq', ...args], { cwd: `${dir}/archives` });
  };
  await apt('update');
  return apt;
}
