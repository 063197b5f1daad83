/** `archfarm verify`: does what was published run on hosts of every platform that it lists? */
import { exitStatusOf } from '../../shared/errors.ts';
import { parsePlatform } from '../../shared/platform.ts';
import { formatDuration, parseDuration } from '../../shared/duration.ts';
import { completeProof, proofOptions } from '../project/image-proof.ts';
import { verdictOf } from '../proof/verdict.ts';
import type { ProvenPlatform } from './api-answers.ts';
import { accessFarm } from './farm-access.ts';
import { readContextLimits } from './context-limits.ts';
import type { GlobalOptions } from './global-options.ts';
import { print, printJson, say } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { provenIn } from './progress/summary.ts';
import { formatTable } from './table.ts';
import type { VerifyCommandFlags } from './verify-command.ts';

/** Gives the exit status: 1 where an image does not run, 4 where a platform has no agent. */
export async function runVerify(
  reference: string,
  flags: VerifyCommandFlags,
  global: GlobalOptions,
): Promise<number> {
  const names = { command: '--run', timeout: '--timeout' };
  const given = { command: flags.run, timeout: flags.timeout, network: flags.network };
  const platforms = (flags.platform ?? []).flatMap((list) => list.split(','));
  for (const platform of platforms) parsePlatform(platform);
  const request = {
    ...completeProof(proofOptions(given, names)),
    reference,
    platforms,
    allowEmulation: flags.allowEmulation === true,
    waitAgent: parseDuration(flags.waitAgent ?? '15s', '--wait-agent'),
  };
  const access = { registry: flags, detach: false, contextLimits: readContextLimits([], process.env) };
  await using farm = await accessFarm(access, global);
  const { signal } = global;
  const tell = (text: string): void => {
    if (!global.quiet) say(text);
  };
  const proven: ProvenPlatform[] = [];
  let found = reference;
  const waitAgent = farm.local ? 0 : request.waitAgent;
  for await (const line of farm.api.verify({ ...request, waitAgent }, signal)) {
    if (line.type === 'found') {
      found = line.reference;
      tell(`${plainText(found)}: ${line.platforms.map(plainText).join(', ')}`);
    } else if (line.type === 'started') {
      tell(`[${plainText(line.platform)}] on ${line.agent}${line.native ? '' : ' (emulated)'}`);
    } else {
      const { platform, output } = line.proof;
      for (const text of output === '' ? [] : output.split('\n')) {
        tell(`[${plainText(platform)}] ${plainText(text)}`);
      }
      proven.push(line.proof);
    }
  }
  const error = verdictOf(Object.fromEntries(proven.map((proof) => [proof.platform, proof])));
  const sorted = proven.toSorted((a, b) => (a.platform < b.platform ? -1 : 1));
  if (global.json) printJson({ reference: found, platforms: sorted });
  else print(await table(sorted));
  if (error === undefined) return 0;
  say(`archfarm: ${plainText(error.message)}`);
  if (error.hint !== undefined) say(`  ${plainText(error.hint)}`);
  return exitStatusOf[error.code];
}

function table(proven: readonly ProvenPlatform[]): Promise<string> {
  const rows = proven.map((proof) => [
    proof.platform,
    proof.agent ?? '-',
    proof.native === undefined ? '-' : proof.native ? 'native' : 'emulated',
    proof.duration === undefined ? '-' : formatDuration(proof.duration),
    provenIn(proof),
  ]);
  return formatTable(
    ['PLATFORM', 'AGENT', 'MODE', 'TIME', 'VERIFY'],
    rows.map((row) => row.map(plainText)),
  );
}
