/**
 * The files that systemd reads, by their names in scripts/systemd: put in by the bundler, so that the agent's one file can
 * install them wherever it was copied to, and read from there where the sources run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type UnitFile = 'archfarm-agent.service' | 'archfarm-coordinator.service' | 'archfarm-sysusers.conf';

declare const ARCHFARM_UNITS: Readonly<Record<UnitFile, string>> | undefined;

export function unitFile(name: UnitFile): string {
  if (typeof ARCHFARM_UNITS === 'object') return ARCHFARM_UNITS[name];
  return readFileSync(join(import.meta.dirname, '../scripts/systemd', name), 'utf8');
}
