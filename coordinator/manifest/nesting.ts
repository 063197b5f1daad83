/** How deep JSON goes, looked at before anything reads or prints it recursively and runs out of stack. */

/** Of objects and lists in each other; documents of any tool have less than ten. */
const maxDepth = 64;

export function isDeep(json: Buffer): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (inText) {
      if (character === backslash) at++;
      else inText = character !== quote;
    } else if (character === quote) {
      inText = true;
    } else if (character === openBrace || character === openBracket) {
      if (++depth > maxDepth) return true;
    } else if (character === closeBrace || character === closeBracket) {
      depth--;
    }
  }
  return false;
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = Buffer.from('"\\{}[]');
