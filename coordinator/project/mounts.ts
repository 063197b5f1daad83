/** What a build may borrow from the client while it runs: secrets and ssh agents. */
import path from 'node:path';
import { ArchfarmError } from '../../shared/errors.ts';
import type { Environment } from './interpolate.ts';
import type { SecretSource, SshSource } from './spec.ts';

/** `id=ID[,src=FILE|,env=VAR]`, or docker's `type=file|env,id=ID[,src=FILE OR VAR]`; with the id alone, the variable of that name, else the file. */
export function parseSecret(text: string, from: { cwd: string; environment: Environment }): SecretSource {
  const fields = new Map<string, string>();
  for (const field of text.split(',')) {
    const [, key, value] = /^(\w+)=(.+)$/.exec(field) ?? [];
    if (key === undefined || value === undefined || !['type', 'id', 'src', 'source', 'env'].includes(key)) {
      throw invalidSecret(text);
    }
    fields.set(key === 'source' ? 'src' : key, value);
  }
  const id = fields.get('id');
  const file = fields.get('src');
  const variable = fields.get('env');
  const type = fields.get('type') ?? (variable === undefined ? 'file' : 'env');
  const isKnown = type === 'file' || type === 'env';
  if (id === undefined || !isKnown || (file !== undefined && variable !== undefined))
    throw invalidSecret(text);
  if (fields.has('type') && type === 'env') return { id, type, variable: variable ?? file ?? id };
  if (fields.has('type') && variable !== undefined) throw invalidSecret(text);
  if (file !== undefined) return { id, type: 'file', path: path.resolve(from.cwd, file) };
  if (variable !== undefined || from.environment[id] !== undefined) {
    return { id, type: 'env', variable: variable ?? id };
  }
  return { id, type: 'file', path: path.resolve(from.cwd, id) };
}

function invalidSecret(text: string): ArchfarmError {
  // The text is not repeated whole: somebody may have put the secret itself there.
  const id = /(?:^|,)id=([\w.-]+)/.exec(text)?.[1];
  return new ArchfarmError('usage', `invalid --secret${id === undefined ? '' : ` ${id}`}`, {
    hint: 'the form is id=ID, id=ID,src=FILE or id=ID,env=VARIABLE',
  });
}

/** `ID[=SOCKET]`; without a socket, that of `SSH_AUTH_SOCK`. */
export function parseSsh(text: string, from: { cwd: string; environment: Environment }): SshSource {
  const [, id, socket] = /^([\w.-]+)(?:=(.+))?$/.exec(text) ?? [];
  if (id === undefined) {
    throw new ArchfarmError('usage', `invalid ssh mount ${JSON.stringify(text)}`, {
      hint: 'the form is ID or ID=SOCKET, for example default',
    });
  }
  const found = socket ?? from.environment['SSH_AUTH_SOCK'];
  if (found === undefined || found === '') {
    throw new ArchfarmError('config', `no ssh agent for the mount ${id}: SSH_AUTH_SOCK is not set`, {
      hint: `start an ssh agent, or name its socket: --ssh ${id}=SOCKET`,
    });
  }
  return { id, socket: path.resolve(from.cwd, found) };
}
