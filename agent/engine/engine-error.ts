/** What an engine's failures mean. Engines say most things in prose only, so this is where prose is read. */
import { ArchfarmError, messageOf, systemCode, type ErrorCode } from '../../shared/errors.ts';

/** A request that failed: `engine-down` when nobody answered or the line broke, `engine-error` for what the engine said. */
export function fromEngine(error: unknown, host: string): ArchfarmError {
  if (error instanceof ArchfarmError) return error;
  const message = messageOf(error)
    .replace(/^\(HTTP code \d+\) (.*?) - /s, '')
    .trim();
  if (isRefusal(error)) {
    const code = isDiskFull(message) ? 'disk-full' : 'engine-error';
    return new ArchfarmError(code, `Docker engine at ${host}: ${message}`, { cause: error });
  }
  if (!isDisconnect(error)) {
    return new ArchfarmError('engine-error', `Docker engine at ${host}: ${message}`, { cause: error });
  }
  const hint =
    systemCode(error) === 'EACCES'
      ? 'the user that runs this must be in the group of that socket, usually `docker`'
      : 'is the Docker daemon running, and is this its address? --docker or DOCKER_HOST names another';
  return new ArchfarmError('engine-down', `cannot reach the Docker engine at ${host}: ${message}`, {
    hint,
    cause: error,
  });
}

/** Others are of an answer that could not be read, or of what was done with it. */
function isDisconnect(error: unknown): boolean {
  const code = systemCode(error);
  // Node's own are of wrong use, but for these.
  if (code !== undefined) return /^(?!ERR_)|^ERR_(?:STREAM_PREMATURE_CLOSE|TLS|SSL)/.test(code);
  return error instanceof Error && /^(?:socket hang up|aborted)$/.test(error.message);
}

/** One that takes connections and says nothing. */
export function noAnswer(host: string): ArchfarmError {
  return new ArchfarmError('engine-down', `the Docker engine at ${host} does not answer`, {
    hint: 'restart it: systemctl restart docker',
  });
}

/**
 * A build that ended with an error event. What the engine could not help is not the build's failure. `step`: the name
 * of the one that failed.
 */
export function fromFailedBuild(
  message: string,
  { host, step = '' }: { host: string; step?: string | undefined },
): ArchfarmError {
  const text = message
    .replace(/^failed to solve(?: with frontend [\w.]+)?: /, '')
    .replace(/^(?:rpc error: code = \w+ desc = )+/, '')
    .replace(/^failed to create LLB definition: /, '');
  // A step that ran and failed: its command is part of the text, and must not be taken for the engine's words.
  if (/exit code: \d+$/.test(text)) return new ArchfarmError('build-failed', text);
  if (isDiskFull(text)) {
    return new ArchfarmError('disk-full', `Docker engine at ${host}: ${text}`, {
      hint: 'free space on that host, for example with `docker builder prune`',
    });
  }
  if (/read-only file system/i.test(text)) {
    return new ArchfarmError('engine-error', `Docker engine at ${host}: ${text}`, {
      hint: 'the disk of that host may have failed: see what dmesg says there',
    });
  }
  if (isDenied(text)) {
    // Docker 20.10 leaves out what was pulled.
    const base = /(?:load metadata for|FROM) (\S+)/.exec(`${text}\n${step}`)?.[1]?.replace(/[:,]$/, '');
    return new ArchfarmError('registry-denied', `pull of ${base ?? 'a base image'} was denied: ${text}`, {
      hint: "is it there? If so, the credentials in the coordinator's Docker configuration must allow pulling it",
    });
  }
  if (isPullTrouble(text, step)) {
    return new ArchfarmError('registry-unreachable', `Docker engine at ${host}: ${text}`);
  }
  const kind = buildTroubles.find(([, pattern]) => pattern.test(text));
  return kind === undefined
    ? new ArchfarmError('build-failed', text)
    : new ArchfarmError(kind[0], `Docker engine at ${host}: ${text}`);
}

const buildTroubles: readonly (readonly [ErrorCode, RegExp])[] = [
  [
    'engine-error',
    /no active session|session (?:closed|\S+ not found)|transport is closing|context canceled$|flightcontrol/i,
  ],
  ['registry-unreachable', /failed to do request|i\/o timeout|TLS handshake timeout|status code 5\d\d/i],
];

/**
 * What the registry of a base image, or the way there, may get over. Steps that run fail in words of their own, which
 * are quoted behind the names of BuildKit's executor and must not be taken for a registry's.
 */
function isPullTrouble(text: string, step: string): boolean {
  if (/executor failed running|did not complete successfully/.test(text)) return false;
  const isPull = /^\[[^\]]+\] (?:FROM|load metadata for) /.test(step);
  const said = isPull ? text : pullWords.exec(text)?.[0];
  return said !== undefined && passing.test(said);
}

/** From where on a text is of a pull, whatever step it is of: layers may be fetched as late as they are needed. */
const pullWords = /(?:load metadata|resolve source metadata|failed to copy|httpReadSeeker).*/is;

/**
 * Statuses that say "later", and connections that broke. Like all that looks on from a word, it does not look far: what a
 * Dockerfile says is in the text too, and may be that word a hundred thousand times.
 */
const passing =
  /(?:unexpected status|failed with status code)[^\n]{0,2000}? (?:408|429|5\d\d)\b|(?:^|[: ])toomanyrequests(?:$|: )|connection re(?:set|fused)|(?:read|write|dial) tcp|unexpected EOF|: EOF$/i;

/** Of what registries say to a pull, the words that no other failing step has. */
function isDenied(text: string): boolean {
  return /pull access denied|insufficient_scope|failed to authorize: .{0,2000}40[13]|manifests [^\]]{1,300}\]: 40[13]/is.test(
    text,
  );
}

/** A push that ended with an error event. */
export function fromFailedPush(message: string, target: PushTarget): ArchfarmError {
  return fromFailedTransfer('push', message, target);
}

/** A pull that ended with an error event. */
export function fromFailedPull(message: string, target: PushTarget): ArchfarmError {
  if (
    /no (?:matching manifest|match for platform)|does not (?:match|provide) the (?:specified|wanted) platform/i.test(
      message,
    )
  ) {
    return new ArchfarmError(
      'wrong-architecture',
      `${target.reference} has no image for this host: ${message}`,
    );
  }
  return fromFailedTransfer('pull', message, target);
}

function fromFailedTransfer(
  verb: 'push' | 'pull',
  message: string,
  { host, registry, reference }: PushTarget,
): ArchfarmError {
  const failed = `${verb} of ${reference} failed: ${message}`;
  if (isDiskFull(message)) return new ArchfarmError('disk-full', failed);
  if (/server gave HTTP response to HTTPS client/i.test(message)) {
    return new ArchfarmError(
      'registry-error',
      `the Docker engine at ${host} refuses to speak plain http to ${registry}`,
      { hint: `add "insecure-registries": ["${registry}"] to that engine's daemon.json and restart it` },
    );
  }
  if (/x509:|certificate/i.test(message)) {
    return new ArchfarmError('registry-error', failed, {
      hint: `put the registry's CA certificate at /etc/docker/certs.d/${registry}/ca.crt on the engine's host`,
    });
  }
  if (
    /denied|unauthorized|no basic auth|authentication required|insufficient_scope|forbidden/i.test(message)
  ) {
    return new ArchfarmError('registry-denied', failed, {
      hint: `the coordinator's credentials for ${registry} must allow a ${verb} of this repository`,
    });
  }
  const unreachable =
    /connection re(?:fused|set)|no such host|timeout|no route to host|network is unreachable|server misbehaving|deadline exceeded|EOF$/i;
  return new ArchfarmError(unreachable.test(message) ? 'registry-unreachable' : 'registry-error', failed);
}

/** Whether it may be that the token of a push has expired. */
export function isRefusedToken(message: string): boolean {
  return /unauthorized|authentication required|token (?:is |has )?expired/i.test(message);
}

/** A push that got no layer further before its token, of so many milliseconds, was refused. */
export function fromExpiredToken(
  message: string,
  { registry, reference, lifetime, layers }: PushTarget & ExpiredToken,
): ArchfarmError {
  const named = layers.map(({ layer, bytes }) =>
    bytes === undefined ? layer : `${layer} (${(bytes / 1e6).toFixed(1)} MB)`,
  );
  const what = named.length > 1 ? `none of the layers ${named.join(', ')}` : `layer ${named[0] ?? ''}`.trim();
  const verb = named.length > 1 ? 'was' : 'was not';
  return new ArchfarmError(
    'registry-denied',
    `push of ${reference} failed: ${what} ${verb} there within the ${Math.ceil(lifetime / 1000)} s that a token of ${registry} is good for: ${message}`,
    {
      hint: `let the token server of ${registry} give tokens that live longer (Harbor: "Token Expiration", GitLab: "Authorization token duration"), or push over a faster line`,
    },
  );
}

interface ExpiredToken {
  /** Milliseconds. */
  readonly lifetime: number;
  readonly layers: readonly { readonly layer: string; readonly bytes: number | undefined }[];
}

export interface PushTarget {
  /** Of the engine. */
  readonly host: string;
  readonly registry: string;
  readonly reference: string;
}

/** Whether the engine answered, but with an error. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number';
}

function isDiskFull(message: string): boolean {
  return /no space left on device|disk quota exceeded/i.test(message);
}
