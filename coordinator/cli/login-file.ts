/**
 * Where a client keeps how it signs in: one file for the user alone, with a token and an authority for each coordinator.
 * With `credsStore` in it, as in Docker's own configuration, the tokens are with that credential helper instead.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { ArchfarmError, messageOf, systemCode } from '../../shared/errors.ts';
import { writeWhole } from '../../shared/whole-file.ts';
import { askHelper, eraseFromHelper, storeInHelper } from '../registry/credential-helper.ts';

export interface Login {
  readonly token: string;
  /** PEM of the authorities that vouch for this coordinator; undefined for those of the system. */
  readonly ca?: string | undefined;
}

const entrySchema = v.object({
  /** Undefined where a helper has it. */
  token: v.optional(v.string()),
  ca: v.optional(v.string()),
});
const fileSchema = v.object({
  credsStore: v.optional(v.string()),
  /** The coordinator of commands that name none. */
  default: v.optional(v.string()),
  /** By the http(s) form of their addresses. */
  coordinators: v.optional(v.record(v.string(), entrySchema), {}),
});
type Contents = v.InferOutput<typeof fileSchema>;

/** Milliseconds; a helper may ask its user for a password. */
const helperPatience = 60_000;

export class LoginFile {
  readonly path: string;

  constructor(environment: NodeJS.ProcessEnv) {
    const base = environment['XDG_CONFIG_HOME'] || join(homedir(), '.config');
    this.path = join(base, 'archfarm', 'login.json');
  }

  /** The address that commands talk to when they are told none. */
  async defaultCoordinator(): Promise<URL | undefined> {
    const { default: text } = await this.#read();
    return text === undefined || !URL.canParse(text) ? undefined : new URL(text);
  }

  /** Whether one has signed in there, under just this address. */
  async has(coordinator: URL): Promise<boolean> {
    return Object.hasOwn((await this.#read()).coordinators, coordinator.href);
  }

  async find(coordinator: URL, signal: AbortSignal): Promise<Login | undefined> {
    const { coordinators, credsStore } = await this.#read();
    const entry = coordinators[coordinator.href];
    if (entry === undefined) return undefined;
    const { ca } = entry;
    if (entry.token !== undefined) return { token: entry.token, ca };
    const options = { key: coordinator.href, timeout: helperPatience, signal };
    const found = credsStore === undefined ? undefined : await askHelper(credsStore, options);
    return found === undefined ? undefined : { token: found.Secret, ca };
  }

  async save(
    coordinator: URL,
    { token, ca, user, isDefault }: Login & { readonly user: string; readonly isDefault: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { href } = coordinator;
    const contents = await this.#read();
    const { credsStore } = contents;
    if (credsStore !== undefined) {
      await storeInHelper(
        credsStore,
        { ServerURL: href, Username: user, Secret: token },
        { timeout: helperPatience, signal },
      );
    }
    const entry = { ...(credsStore === undefined ? { token } : {}), ...(ca === undefined ? {} : { ca }) };
    await this.#write({
      ...contents,
      ...(isDefault ? { default: href } : {}),
      coordinators: { ...contents.coordinators, [href]: entry },
    });
  }

  /** False where nothing was kept. */
  async remove(coordinator: URL, signal: AbortSignal): Promise<boolean> {
    const { href } = coordinator;
    const { coordinators, default: current, ...rest } = await this.#read();
    const { [href]: entry, ...others } = coordinators;
    if (entry === undefined) return false;
    if (entry.token === undefined && rest.credsStore !== undefined)
      await eraseFromHelper(rest.credsStore, { key: href, timeout: helperPatience, signal });
    const kept = current === undefined || current === href ? {} : { default: current };
    await this.#write({ ...rest, ...kept, coordinators: others });
    return true;
  }

  async #read(): Promise<Contents> {
    let text: string;
    try {
      const { mode } = await stat(this.path);
      if ((mode & 0o077) !== 0) {
        throw new ArchfarmError('config', `${this.path} holds tokens, and others than you may read it`, {
          hint: `chmod 600 ${this.path}`,
        });
      }
      text = await readFile(this.path, 'utf8');
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return { coordinators: {} };
      if (cause instanceof ArchfarmError) throw cause;
      throw new ArchfarmError('config', `cannot read ${this.path}: ${messageOf(cause)}`, { cause });
    }
    // What is wrong in it is not told in the words of the parser, which may quote a token.
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), fileSchema), text);
    if (parsed.success) return parsed.output;
    throw new ArchfarmError('config', `${this.path} is not what archfarm login writes`, {
      hint: 'remove it, and sign in again with archfarm login',
    });
  }

  /** Nobody ever reads half of it. */
  async #write(contents: Contents): Promise<void> {
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await writeWhole(this.path, `${JSON.stringify(contents, undefined, 2)}\n`, { mode: 0o600 });
    } catch (cause) {
      throw new ArchfarmError('config', `cannot write ${this.path}: ${messageOf(cause)}`, { cause });
    }
  }
}
