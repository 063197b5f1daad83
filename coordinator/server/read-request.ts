/** What a request holds, by its schema. */
import * as v from 'valibot';
import { ArchfarmError } from '../../shared/errors.ts';

/** Throws `usage` naming the part that is wrong. */
export function readRequest<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ArchfarmError('usage', `bad request: ${v.getDotPath(issue) ?? 'body'}: ${issue.message}`);
}
