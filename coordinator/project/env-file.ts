/** The `.env` beside a Compose file: what Compose's documentation calls env-file syntax, and npm's dotenv does not know. */
import { readFile } from 'node:fs/promises';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { interpolate, type Environment } from './interpolate.ts';

export interface EnvFile {
  readonly variables: Readonly<Record<string, string>>;
  /** What its values name and nobody has set. */
  readonly unset: readonly string[];
}

/** Blank lines and comments. */
const between = /(?:\s+|#[^\n]*)*/y;
/** A name alone stands for what the environment has. */
const name = /(?:export[^\S\n]+)?([\p{L}\p{N}_.[\]-]+)[^\S\n]*(?:([=:])[^\S\n]*|(?=\n|$))/uy;
const quoted = /(["'])((?:\\[^]|(?!\1)[^\\])*)\1/y;
const unquoted = /[^\n]*/y;
const escaped = /\\(?:[abfnrtv$"\\]|0[0-3][0-7]{2})/g;
const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
  // For the variables that are put in afterwards.
  $: '$$',
};

/** Its text; empty where there is no such file. Throws `config`. */
export async function envFileText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // A directory of that name is a Python environment, more often than not.
    if (['ENOENT', 'EISDIR'].includes(systemCode(error) ?? '')) return '';
    throw new ArchfarmError('config', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Lines see those before them, and `environment` wins. Throws `config` with the line. */
export function readEnvFile(
  text: string,
  { path, environment }: { readonly path: string; readonly environment: Environment },
): EnvFile {
  const variables = new Map<string, string>();
  const unset = new Set<string>();
  let position = text.startsWith('\uFEFF') ? 1 : 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(text) ?? undefined;
    if (match !== undefined) position = pattern.lastIndex;
    return match;
  };
  const error = (message: string): ArchfarmError =>
    new ArchfarmError('config', `${path}:${text.slice(0, position).split('\n').length}: ${message}`, {
      hint: 'a line is NAME=VALUE; $ is written $$, or the value put into single quotes',
    });
  const expand = (value: string): string => {
    if (!value.includes('$')) return value;
    try {
      const found = interpolate(value, { ...Object.fromEntries(variables), ...environment });
      for (const each of found.unset) unset.add(each);
      return found.text;
    } catch (thrown) {
      throw error(messageOf(thrown));
    }
  };
  const value = (): string => {
    const [, quote, content = ''] = take(quoted) ?? [];
    if (quote === "'") return unescapeQuote(content, quote);
    if (quote === '"') return expand(unescape(unescapeQuote(content, quote)));
    if (/["']/.test(text[position] ?? '')) throw error('a quoted value does not end');
    const [line = ''] = take(unquoted) ?? [];
    // What is before this one was passed over with the sign.
    return expand(line.startsWith('#') ? '' : line.replace(/\s#.*/, '').trimEnd());
  };

  for (take(between); position < text.length; take(between)) {
    const [found, key = '', sign] = take(name) ?? [];
    if (found === undefined) throw error('this is no variable');
    if (sign === undefined) continue;
    const own = value();
    variables.set(key, (Object.hasOwn(environment, key) ? environment[key] : undefined) ?? own);
  }
  return { variables: Object.fromEntries(variables), unset: [...unset] };
}

function unescapeQuote(content: string, quote: string): string {
  return content.replace(/\\[^]/g, (pair) => (pair[1] === quote ? quote : pair));
}

function unescape(content: string): string {
  return content.replace(escaped, ([, kind = '', ...digits]) =>
    kind === '0' ? String.fromCharCode(parseInt(digits.join(''), 8)) : (escapes[kind] ?? ''),
  );
}
