/** `docker-credential-NAME get`: the registry's key on stdin, JSON on stdout. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { said } from './said.ts';

const run = promisify(execFile);

/** Bytes of each of its outputs. */
const maxOutput = 64 * 1024;

const answerSchema = v.object({ Username: v.string(), Secret: v.string() });
const failureSchema = v.object({ stdout: v.string(), stderr: v.string() });

/** Undefined when the helper knows nothing of this key. */
export async function askHelper(
  name: string,
  options: { key: string; timeout: number; signal: AbortSignal },
): Promise<v.InferOutput<typeof answerSchema> | undefined> {
  const { key, timeout, signal } = options;
  // The name becomes a program's name; config.json may come from elsewhere.
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new ArchfarmError('config', `${JSON.stringify(name)} is not a name of a credential helper`);
  }
  const program = `docker-credential-${name}`;
  const running = run(program, ['get'], { timeout, signal, maxBuffer: maxOutput, killSignal: 'SIGKILL' });
  // A helper that ends without reading is judged by its exit.
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(`${key}\n`);
  const failed = (why: string, cause?: unknown): ArchfarmError =>
    new ArchfarmError('config', `credential helper ${program} failed for ${key}: ${why}`, {
      cause,
      hint: `try it: echo ${key} | ${program} get`,
    });
  let stdout;
  try {
    ({ stdout } = await running);
  } catch (error) {
    signal.throwIfAborted();
    if (systemCode(error) === 'ENOENT') throw failed('it is not installed');
    if (running.child.killed) throw failed(`it gave no usable answer within ${timeout} ms`);
    const output = v.safeParse(failureSchema, error);
    if (!output.success) throw failed(messageOf(error), error);
    const words = `${output.output.stdout} ${output.output.stderr}`;
    if (/credentials not found/i.test(words)) return undefined;
    throw failed(said(words, 200));
  }
  const answer = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), stdout);
  if (!answer.success) throw failed('its answer is not JSON with Username and Secret');
  return answer.output;
}
