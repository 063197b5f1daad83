/** What an agent on this machine finds: it is asked as a program, since only agents know engines. */
import { execFile } from 'node:child_process';
import * as v from 'valibot';
import type { Check } from '../../shared/checks.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { agentEntry } from './local-agent.ts';

const checksSchema = v.array(
  v.object({
    state: v.picklist(['ok', 'warn', 'fail']),
    subject: v.string(),
    what: v.string(),
    hint: v.exactOptional(v.string()),
  }),
);

/** Milliseconds. */
const patience = 30_000;

export async function examineEngine(signal: AbortSignal): Promise<readonly Check[]> {
  const args = [...process.execArgv, agentEntry(), 'doctor', '--engine-only', '--json'];
  const output = await new Promise<string>((resolve, reject) => {
    // It ends with 1 when it found something, and says what all the same.
    execFile(process.execPath, args, { signal, timeout: patience }, (error, stdout, stderr) => {
      if (stdout !== '') resolve(stdout);
      else
        reject(
          new ArchfarmError('internal', `archfarm-agent doctor ended without a word: ${stderr}`, {
            cause: error,
          }),
        );
    });
  });
  return v.parse(checksSchema, JSON.parse(output));
}
