/** What an agent is told by flags and environment; flags win. */
import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parseCoordinatorUrl } from '../shared/address.ts';
import { parseAgentName } from '../shared/agent-name.ts';
import { readStoreBounds } from '../shared/context/store-bounds.ts';
import type { StoreBounds } from '../shared/context/sweep.ts';
import { parseDuration } from '../shared/duration.ts';
import { ArchfarmError, messageOf } from '../shared/errors.ts';
import { formatPlatform, parsePlatform } from '../shared/platform.ts';
import { parseSize } from '../shared/size.ts';
import { parsePolicy, type Policy } from '../shared/policy.ts';
import { parseToken } from '../shared/token.ts';
import { readTrust, type TlsTrust } from '../shared/trust.ts';
import { readCertificate, trustWith, type AgentCertificate } from './certificate.ts';
import { readIdentity, type Identity } from './identity.ts';
import { readWatermark, type Watermark } from './disk-watch.ts';

/** How this host comes to its coordinator. */
export interface CoordinatorAccess {
  /** The http(s) form. */
  readonly coordinator: URL;
  readonly token: string | undefined;
  /** Read anew for each connection, as certificates are renewed meanwhile. */
  readonly trust: () => TlsTrust;
  /** What this agent shows of itself; undefined where it comes with a token. */
  readonly certificate?: AgentCertificate | undefined;
}

export interface AgentConfig extends CoordinatorAccess {
  readonly name: string;
  /** Formatted; undefined offers everything that the engine can. */
  readonly platforms: readonly string[] | undefined;
  readonly slots: number;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The journal and the status socket: one agent's own. */
  readonly data: string;
  /** Contents, and records of what engines were served: agents on one host may share it. */
  readonly cache: string;
  /** Size and age of the contents that are kept, where not the usual ones. */
  readonly contextStore: Partial<StoreBounds>;
  /** `unix://…`, `tcp://…`; undefined means what the Docker variables say. */
  readonly docker: string | undefined;
  /** What builds may ask of the engine. */
  readonly policy: Policy;
  /** Milliseconds that the engine may take for one build. */
  readonly buildTimeout: number | undefined;
  /** Below it the agent takes no work. */
  readonly minFree: Watermark;
  /** Bytes of the engine's build cache that may stay; undefined: as many as leave `minFree`. */
  readonly keepCache: number | undefined;
}

/** Flags of `archfarm-agent run` as commander gives them. */
export interface AgentFlags {
  readonly coordinator?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly name?: string;
  readonly platform?: readonly string[];
  readonly slots?: string;
  readonly weight?: string;
  readonly label?: readonly string[];
  readonly data?: string;
  readonly cache?: string;
  readonly contextStore?: string;
  readonly docker?: string;
  readonly minFree?: string;
  readonly keepCache?: string;
  readonly allow?: readonly string[];
  readonly buildTimeout?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Builds at once where nothing else is said: BuildKit itself runs the steps of one build in parallel. */
const defaultSlots = 2;
const slotNumbers = { least: 1, whole: true };
const weightNumbers = { least: 0.01 };

/** Throws `usage` naming the flag or variable that is wrong. */
export function readConfig(flags: AgentFlags, env: Environment): AgentConfig {
  const access = readAccess(flags, env);
  if (access === undefined) {
    throw new ArchfarmError('usage', 'no coordinator to dial', {
      hint: 'archfarm agents add prints how this host joins one; else give --coordinator URL or set ARCHFARM_COORDINATOR',
    });
  }
  const { identity, ...dialing } = access;
  const data = dataDirectory(flags.data, env);
  const platforms = flags.platform ?? split(env['ARCHFARM_PLATFORM']) ?? identity?.platforms;
  return {
    ...dialing,
    name: nameOf(flags.name ?? env['ARCHFARM_NAME'], identity),
    platforms:
      platforms === undefined || platforms.length === 0
        ? undefined
        : [...new Set(platforms.flatMap((list) => split(list) ?? []).map(normalized))],
    slots:
      flags.slots === undefined
        ? readNumber(env['ARCHFARM_SLOTS'] || String(defaultSlots), { of: 'ARCHFARM_SLOTS', ...slotNumbers })
        : readNumber(flags.slots, { of: '--slots', ...slotNumbers }),
    weight:
      flags.weight === undefined
        ? readNumber(env['ARCHFARM_WEIGHT'] || '1', { of: 'ARCHFARM_WEIGHT', ...weightNumbers })
        : readNumber(flags.weight, { of: '--weight', ...weightNumbers }),
    labels: parseLabels(flags.label ?? split(env['ARCHFARM_LABELS']) ?? []),
    data,
    cache: flags.cache === undefined ? data : resolve(flags.cache),
    contextStore: readStoreBounds(flags.contextStore, env),
    docker: flags.docker,
    minFree: readWatermark(flags.minFree, env),
    keepCache: readSize(flags.keepCache ?? (env['ARCHFARM_KEEP_CACHE'] || undefined)),
    policy: readPolicy(flags.allow, env),
    buildTimeout: readBuildTimeout(flags.buildTimeout, env),
  };
}

/** From flags, the environment, or what `join` left; undefined without an address. Throws as `readConfig`. */
export function readAccess(
  flags: AgentFlags,
  env: Environment,
): (CoordinatorAccess & { readonly identity: Identity | undefined }) | undefined {
  const identity = readIdentity(dataDirectory(flags.data, env));
  const address = (flags.coordinator ?? env['ARCHFARM_COORDINATOR']) || identity?.coordinator;
  if (!address) return undefined;
  const ca = (flags.ca ?? env['ARCHFARM_CA']) || identity?.ca;
  // Hosts join by TLS alone, and only there is a certificate shown.
  const tls = ca !== undefined || identity !== undefined || Boolean(flags.cert ?? env['ARCHFARM_CERT']);
  const coordinator = parseCoordinatorUrl(address, { tls });
  const certificate =
    coordinator.protocol === 'https:' ? readCertificate(flags, { env, identity }) : undefined;
  return {
    coordinator,
    // Whoever has a certificate has no use for what all share.
    token: certificate === undefined ? readToken(flags.tokenFile, env) : undefined,
    trust: trustWith(readTrust(ca, coordinator), certificate),
    certificate,
    identity,
  };
}

/** Throws `usage` for another name than that of the certificate. */
function nameOf(given: string | undefined, identity: Identity | undefined): string {
  const name = parseAgentName(given || identity?.name || hostname(), '--name');
  if (identity === undefined || name === identity.name) return name;
  throw new ArchfarmError('usage', `this host has joined as ${identity.name}, and cannot be ${name}`, {
    hint: `leave --name and ARCHFARM_NAME out, or let it join anew: archfarm agents add ${name}`,
  });
}

/** `/var/lib/archfarm-agent` for root, else below `$XDG_STATE_HOME`. */
export function dataDirectory(flag: string | undefined, env: Environment): string {
  const given = flag ?? env['ARCHFARM_DATA'];
  if (given) return resolve(given);
  if (process.getuid?.() === 0) return '/var/lib/archfarm-agent';
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'archfarm-agent');
}

export function readToken(file: string | undefined, env: Environment): string | undefined {
  if (file === undefined) return parseToken(env['ARCHFARM_TOKEN'] ?? '', 'ARCHFARM_TOKEN');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ArchfarmError('usage', `cannot read the token file ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseToken(text, `the token file ${file}`);
}

function readSize(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSize(text);
}

/** What builds may ask of this host's engine. */
export function readPolicy(flags: readonly string[] | undefined, env: Environment): Policy {
  const from = flags === undefined ? 'ARCHFARM_ALLOW' : '--allow';
  return parsePolicy(
    (flags ?? [env['ARCHFARM_ALLOW'] ?? '']).flatMap((list) => split(list) ?? []),
    from,
  );
}

function readBuildTimeout(flag: string | undefined, env: Environment): number | undefined {
  const name = flag === undefined ? 'ARCHFARM_BUILD_TIMEOUT' : '--build-timeout';
  const text = flag ?? env['ARCHFARM_BUILD_TIMEOUT'];
  if (!text) return undefined;
  const timeout = parseDuration(text, name);
  if (timeout > 0) return timeout;
  throw new ArchfarmError('usage', `${name} must be longer than nothing`);
}

function normalized(text: string): string {
  return formatPlatform(parsePlatform(text));
}

/** Slots and weights that the coordinator takes. */
const most = 1000;

function readNumber(
  text: string,
  { of, least, whole = false }: { of: string; least: number; whole?: boolean },
): number {
  const value = Number(text);
  const isRight = whole ? Number.isInteger(value) : Number.isFinite(value);
  if (text.trim() !== '' && isRight && value >= least && value <= most) return value;
  const kind = whole ? 'whole number' : 'number';
  throw new ArchfarmError(
    'usage',
    `${of} ${JSON.stringify(text)} is not a ${kind} between ${least} and ${most}`,
  );
}

function parseLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new ArchfarmError('usage', `label ${JSON.stringify(pair)} is not KEY=VALUE`);
    }),
  );
}

function split(list: string | undefined): string[] | undefined {
  const parts = list
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return parts === undefined || parts.length === 0 ? undefined : parts;
}
