/** Bytes off a socket become messages here, and nowhere else. */
import * as v from 'valibot';
import { ArchfarmError } from './errors.ts';
import { limits, type ToAgent, type ToCoordinator } from './messages.ts';
import { toAgentSchema, toCoordinatorSchema } from './schemas.ts';

/** Throws `protocol` saying which field is wrong. */
export function decodeToCoordinator(frame: Buffer): ToCoordinator {
  return check(toCoordinatorSchema, frame);
}

/** Throws `protocol` saying which field is wrong. */
export function decodeToAgent(frame: Buffer): ToAgent {
  return check(toAgentSchema, frame);
}

/** The protocol version that a hello names, though all else in it may be of another version; undefined for others. */
export function versionOfHello(frame: Buffer): number | undefined {
  const hello = v.safeParse(v.object({ type: v.literal('hello'), protocol: v.number() }), parseJson(frame));
  return hello.success ? hello.output.protocol : undefined;
}

/** JSON of a bounded depth, or `protocol`. */
export function parseJson(frame: Buffer): unknown {
  const text = frame.toString('utf8');
  if (depthOf(text) > limits.depth)
    throw new ArchfarmError('protocol', `message nested deeper than ${limits.depth} levels`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ArchfarmError('protocol', 'message is not JSON', { cause });
  }
}

/** Checked against `schema`; throws `protocol` with the path of the first field that is wrong. */
export function check<Schema extends v.GenericSchema>(schema: Schema, frame: Buffer): v.InferOutput<Schema> {
  const value = parseJson(frame);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  // A peer chooses its keys, and so how long a path is.
  const path = (v.getDotPath(issue) ?? 'message').slice(0, 200);
  throw new ArchfarmError('protocol', `bad message${nameOf(value)}: ${path}: ${issue.message.slice(0, 200)}`);
}

function nameOf(value: unknown): string {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  return typeof type === 'string' ? ` ${JSON.stringify(type.slice(0, 40))}` : '';
}

/** JSON.parse takes any depth, but what walks its result recursively overflows the stack. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index);
    if (quoted) {
      if (char === 0x5c) index++;
      else if (char === 0x22) quoted = false;
    } else if (char === 0x22) quoted = true;
    else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x5d || char === 0x7d) depth--;
  }
  return deepest;
}
