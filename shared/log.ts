/** The logs of the two services: pino, JSON lines on stderr, so that stdout stays for results; for people on a terminal. */
import { destination, pino, type Logger } from 'pino';
import { prettyStream } from './pretty-log.ts';

export type { Logger } from 'pino';

/**
 * `ARCHFARM_LOG` sets the level: trace, debug, info (default), warn, error, silent. `ARCHFARM_LOG_FORMAT` sets the form:
 * json, or pretty as on a terminal.
 */
export function createLogger(name: string): Logger {
  const level = process.env['ARCHFARM_LOG'] ?? 'info';
  return pino(
    {
      name,
      level: pino.levels.values[level] === undefined && level !== 'silent' ? 'info' : level,
      base: { name },
      redact: { paths: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization'] },
    },
    forPeople() ? prettyStream : destination({ fd: 2, sync: true }),
  );
}

function forPeople(): boolean {
  const format = process.env['ARCHFARM_LOG_FORMAT'];
  return format === 'pretty' || (format !== 'json' && process.stderr.isTTY);
}

/** For parts that run without a service around them. */
export const silentLogger: Logger = pino({ level: 'silent' });
