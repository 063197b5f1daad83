/** Characters of a text from elsewhere that are shown. */
const maxShown = 2 * 1024;

/** What a registry or a helper said, on one line; control characters would reach somebody's terminal. */
export function said(text: string, limit = maxShown): string {
  return text
    .slice(0, 4 * limit)
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, limit);
}
