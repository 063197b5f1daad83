/** A line of the log for somebody at a terminal, made from its JSON. */
import { writeSync } from 'node:fs';
import { styleText } from 'node:util';
import * as v from 'valibot';

const recordSchema = v.pipe(v.string(), v.parseJson(), v.record(v.string(), v.unknown()));

const levels: Readonly<Record<string, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: styleText('yellow', 'warn'),
  50: styleText('red', 'error'),
  60: styleText('red', 'fatal'),
};

/** `12:03:07 warn could not publish build=1r0… error="registry-denied: …"`; what is no record stays as it is. */
export function prettyLine(line: string): string {
  const { success, output } = v.safeParse(recordSchema, line);
  if (!success) return line;
  const { level, time, name: _name, msg, ...fields } = output;
  const at = new Date(Number(time)).toTimeString().slice(0, 8);
  const told = Object.entries(fields).map(([key, value]) => `${styleText('dim', `${key}=`)}${shown(value)}`);
  return `${[at, levels[String(level)] ?? String(level), escaped(String(msg)), ...told].join(' ')}\n`;
}

/** A destination of pino. */
export const prettyStream = {
  write(line: string): void {
    writeSync(2, prettyLine(line));
  },
};

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
  // Of an error the reason is enough; a stack is for those who read the JSON.
  if (
    typeof value === 'object' &&
    value !== null &&
    'message' in value &&
    typeof value.message === 'string'
  ) {
    const code = 'code' in value && typeof value.code === 'string' ? `${value.code}: ` : '';
    return JSON.stringify(`${code}${value.message}`);
  }
  return JSON.stringify(value);
}

/** What came over the network must not move the cursor. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
}
