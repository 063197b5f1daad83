/** Text in columns, measured as a terminal shows it (wide characters, colours). */

/** Rows under a header, columns two spaces apart, without trailing spaces. */
export async function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<string> {
  const all = [header, ...rows];
  const measure = await measureOf(all.flat().join(''));
  const widths = header.map((_, column) => Math.max(...all.map((row) => measure(row[column] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - measure(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What knows wide characters takes longer to load than a table takes to print, and few tables have any. */
async function measureOf(text: string): Promise<(text: string) => number> {
  if (/^[ -~]*$/.test(text)) return ({ length }) => length;
  const { default: stringWidth } = await import('string-width');
  return stringWidth;
}
