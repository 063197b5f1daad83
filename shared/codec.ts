/** Bytes off a socket become messages here, and nowhere else. */
import * as v from 'valibot';
import { ArchfarmError } from './errors.ts';
import { limits, PROTOCOL_VERSION, type ToAgent, type ToCoordinator } from './messages.ts';
import { toAgentSchema, toCoordinatorSchema } from './schemas.ts';
import { version } from './version.ts';

/** A message of a type that no side of this protocol says: whoever says it speaks another one. */
export class UnknownMessage extends ArchfarmError {}

/** Throws `protocol` saying which field is wrong; an `UnknownMessage` where it is the type that nobody knows. */
export function decodeToCoordinator(frame: Buffer): ToCoordinator {
  return decode(toCoordinatorSchema, 'coordinator', frame);
}

/** Throws `protocol` saying which field is wrong; an `UnknownMessage` where it is the type that nobody knows. */
export function decodeToAgent(frame: Buffer): ToAgent {
  return decode(toAgentSchema, 'agent', frame);
}

/** Those of the other direction are not unknown, they are out of place. */
const types: ReadonlySet<string> = new Set(
  [...toCoordinatorSchema.options, ...toAgentSchema.options].map(({ entries }) => entries.type.literal),
);

function decode<Schema extends v.GenericSchema>(
  schema: Schema,
  reader: 'agent' | 'coordinator',
  frame: Buffer,
): v.InferOutput<Schema> {
  const value = parseJson(frame);
  const type = typeOf(value);
  if (type === undefined || types.has(type)) return checkValue(schema, value);
  const what = `unknown message ${shown(type)}`;
  throw new UnknownMessage(
    'protocol',
    `${what}: ${reader} ${version} speaks protocol ${PROTOCOL_VERSION}, update it`,
  );
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
  return checkValue(schema, parseJson(frame));
}

function checkValue<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  // A peer chooses its keys, and so how long a path is.
  const path = (v.getDotPath(issue) ?? 'message').slice(0, 200);
  const type = typeOf(value);
  const name = type === undefined ? '' : ` ${shown(type)}`;
  throw new ArchfarmError('protocol', `bad message${name}: ${path}: ${issue.message.slice(0, 200)}`);
}

function typeOf(value: unknown): string | undefined {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  return typeof type === 'string' ? type : undefined;
}

function shown(type: string): string {
  return JSON.stringify(type.slice(0, 40));
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
