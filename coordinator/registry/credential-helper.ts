/** `docker-credential-NAME`: what is asked for or kept goes in on stdin, and JSON comes out on stdout. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { said } from './said.ts';

/** Bytes of each of its outputs. */
const maxOutput = 64 * 1024;

const answerSchema = v.object({ Username: v.string(), Secret: v.string() });
const failureSchema = v.object({ stdout: v.string(), stderr: v.string() });

export interface HelperOptions {
  /** Of a registry, or of whatever else there are credentials for. */
  readonly key: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

export interface HelperSecret {
  readonly ServerURL: string;
  readonly Username: string;
  readonly Secret: string;
}

/** Undefined when the helper knows nothing of this key. */
export async function askHelper(
  name: string,
  options: HelperOptions,
): Promise<v.InferOutput<typeof answerSchema> | undefined> {
  const stdout = await runHelper(name, 'get', { ...options, input: `${options.key}\n` });
  if (stdout === undefined) return undefined;
  const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), stdout);
  if (answer.success) return answer.output;
  throw failure({ name, verb: 'get', key: options.key }, 'its answer is not JSON with Username and Secret');
}

/** Throws `config` where it does not keep it. */
export async function storeInHelper(
  name: string,
  secret: HelperSecret,
  options: Omit<HelperOptions, 'key'>,
): Promise<void> {
  await runHelper(name, 'store', { ...options, key: secret.ServerURL, input: JSON.stringify(secret) });
}

/** Harmless when it has nothing of this key. */
export async function eraseFromHelper(name: string, options: HelperOptions): Promise<void> {
  await runHelper(name, 'erase', { ...options, input: `${options.key}\n` });
}

type Verb = 'get' | 'store' | 'erase';

/** What it wrote; undefined when it knows nothing of the key. Throws `config` naming the helper and what it said. */
async function runHelper(
  name: string,
  verb: Verb,
  { key, input, timeout, signal }: HelperOptions & { readonly input: string },
): Promise<string | undefined> {
  // The name becomes a program's name; a configuration may come from elsewhere.
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new ArchfarmError('config', `${JSON.stringify(name)} is not a name of a credential helper`);
  }
  const program = `docker-credential-${name}`;
  const options = { timeout, signal, maxBuffer: maxOutput, killSignal: 'SIGKILL' } as const;
  const running = promisify(execFile)(program, [verb], options);
  // A helper that ends without reading is judged by its exit.
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(input);
  const failed = (why: string, more: FailureMore = {}): ArchfarmError =>
    failure({ name, verb, key }, why, more);
  try {
    return (await running).stdout;
  } catch (error) {
    signal.throwIfAborted();
    const code = systemCode(error);
    if (code === 'ENOENT') {
      throw failed('it is not installed', {
        hint: 'install it, or leave it out of the configuration that names it',
      });
    }
    if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
      throw failed(`it wrote more than ${maxOutput / 1024} KiB`);
    }
    if (running.child.killed) throw failed(`it gave no usable answer within ${timeout} ms`);
    const output = v.safeParse(failureSchema, error);
    if (!output.success) throw failed(messageOf(error), { cause: error });
    const words = `${output.output.stdout} ${output.output.stderr}`;
    if (/credentials not found/i.test(words)) return undefined;
    throw failed(said(words, 200));
  }
}

interface FailureMore {
  readonly cause?: unknown;
  readonly hint?: string;
}

function failure(
  { name, verb, key }: { readonly name: string; readonly verb: Verb; readonly key: string },
  why: string,
  { cause, hint }: FailureMore = {},
): ArchfarmError {
  const program = `docker-credential-${name}`;
  return new ArchfarmError('config', `credential helper ${program} failed for ${key}: ${why}`, {
    cause,
    hint: hint ?? (verb === 'store' ? `does ${program} work?` : `try it: echo ${key} | ${program} ${verb}`),
  });
}
