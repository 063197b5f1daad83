/** Rules that tests give the kernel's packet filter, each with its owner's mark in a comment. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { scratchOwner } from './scratch.ts';

const run = promisify(execFile);

/** The mark of this process: by it the rules of one that died are found. */
export const ruleMark = `archfarm-packets-${process.pid}-000000`;

export interface PacketRuleFound {
  /** As `iptables -D` takes it. */
  readonly rule: readonly string[];
  readonly owner: number;
}

/** None where there is no iptables, or no right to look. */
export async function findPacketRules(): Promise<PacketRuleFound[]> {
  const { stdout } = await run('iptables', ['-w', '-S', 'INPUT']).catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => {
    const owner = scratchOwner(/--comment (\S+)/.exec(line)?.[1] ?? '');
    return owner === undefined ? [] : [{ rule: line.split(' ').slice(1), owner }];
  });
}

export async function addPacketRule(rule: readonly string[]): Promise<void> {
  await run('iptables', ['-w', '-I', ...rule]);
}

export async function removePacketRule(rule: readonly string[]): Promise<void> {
  await run('iptables', ['-w', '-D', ...rule]);
}
