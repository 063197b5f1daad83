/** The name under which an image is published. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';

/** Formatted. Throws `usage` for what is no reference, or one by digest. */
export function finalTag(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest !== undefined) {
    throw new ArchfarmError('usage', `the image to build cannot be named by digest: ${text}`, {
      hint: 'leave @sha256:… out',
    });
  }
  return formatReference(reference);
}
