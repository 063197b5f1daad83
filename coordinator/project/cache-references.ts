/** `--cache-from` and `--cache-to`, as far as engines can. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';

/** `REF` or `type=registry,ref=REF`. Throws `usage` for other kinds of cache, which engines do not import. */
export function readCacheSource(text: string, name = '--cache-from'): string {
  const fields = text.includes('=') ? new Map(text.split(',').map(splitField)) : new Map([['ref', text]]);
  const type = fields.get('type') ?? 'registry';
  const ref = fields.get('ref');
  const unknown = [...fields.keys()].find((key) => key !== 'type' && key !== 'ref');
  if (type !== 'registry' || ref === undefined || unknown !== undefined) {
    throw new ArchfarmError(
      'usage',
      `${name} ${JSON.stringify(text)}: engines take a cache from images only`,
      {
        hint: 'the form is REF or type=registry,ref=REF',
      },
    );
  }
  const reference = withDefaultTag(parseReference(ref));
  if (reference.digest !== undefined) {
    throw new ArchfarmError('usage', `${name} ${text}: each platform has an image of its own, under a tag`, {
      hint: 'leave @sha256:… out; every platform gets its suffix',
    });
  }
  return formatReference(reference);
}

/** `inline`. Throws `usage` for the others, which engines do not export. */
export function checkCacheTarget(text: string, name = '--cache-to'): void {
  if (text === 'inline' || text === 'type=inline') return;
  throw new ArchfarmError(
    'usage',
    `${name} ${JSON.stringify(text)}: engines write a cache into the image only`,
    {
      hint: `${name} inline`,
    },
  );
}

function splitField(field: string): [name: string, value: string] {
  const equals = field.indexOf('=');
  return equals === -1 ? [field, ''] : [field.slice(0, equals), field.slice(equals + 1)];
}
