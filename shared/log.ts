/** The logs of the two services: pino, JSON lines on stderr, so that stdout stays for results. */
import { destination, pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** `ARCHFARM_LOG` sets the level: trace, debug, info (default), warn, error, silent. */
export function createLogger(name: string): Logger {
  const level = process.env['ARCHFARM_LOG'] ?? 'info';
  return pino(
    {
      name,
      level: pino.levels.values[level] === undefined && level !== 'silent' ? 'info' : level,
      base: { name },
      redact: { paths: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization'] },
    },
    destination({ fd: 2, sync: true }),
  );
}

/** For parts that run without a service around them. */
export const silentLogger: Logger = pino({ level: 'silent' });
