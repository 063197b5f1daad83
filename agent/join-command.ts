/** `archfarm-agent join` as the command line has it. */
import { text as readAll } from 'node:stream/consumers';
import { ArchfarmError } from '../shared/errors.ts';
import { dataDirectory } from './config.ts';
import { install, serviceData } from './install.ts';
import { join } from './join.ts';

export interface JoinFlags {
  readonly data?: string;
  readonly ca?: string;
  readonly install?: boolean;
}

/** What to tell the user. */
export async function runJoin(url: string, token: string, flags: JoinFlags): Promise<string> {
  const data = dataDirectory(flags.data, process.env);
  const ofService = await serviceData();
  const isService = data === ofService;
  const where = data === dataDirectory(undefined, {}) ? '' : ` --data ${data}`;
  // Before the token is used up.
  if (flags.install === true && !isService) {
    throw new ArchfarmError(
      'usage',
      `the service has its state in ${ofService}, and would not find ${data}`,
      {
        hint: `join as root without --data and ARCHFARM_DATA, or without --install; then archfarm-agent run${where}`,
      },
    );
  }
  const name = await join({
    address: url,
    // Arguments can be seen by everybody on this host, for as long as the command runs.
    token: token === '-' ? await readAll(process.stdin) : token,
    data,
    ca: (flags.ca ?? process.env['ARCHFARM_CA']) || undefined,
    signal: new AbortController().signal,
  });
  const joined = `this host is agent ${name} now; its key and certificate are in ${data}/identity\n`;
  if (flags.install === true) return `${joined}${await install({ root: '/' })}`;
  const service = isService
    ? 'or as a service: sudo archfarm-agent install'
    : `a service has its state in ${ofService}: for one, join again as root with --install, by a new token of archfarm agents add`;
  return `${joined}start it: archfarm-agent run${where}\n${service}\n`;
}
