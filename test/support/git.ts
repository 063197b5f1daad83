/** The git command, as tests make repositories with it. */
import { execFileSync } from 'node:child_process';

export function git(directory: string, ...args: readonly string[]): string {
  const identity = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'init.defaultBranch=main'];
  return execFileSync('git', ['-C', directory, ...identity, ...args], { encoding: 'utf8' }).trim();
}

/** Everything that is there; gives the commit. */
export function commit(directory: string, message: string): string {
  git(directory, 'add', '--all', '--force');
  git(directory, 'commit', '--quiet', '--message', message);
  return git(directory, 'rev-parse', 'HEAD');
}
