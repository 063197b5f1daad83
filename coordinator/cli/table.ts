/** Text in columns, measured as a terminal shows it (wide characters, colours). */

type Row = readonly string[];

/** Rows under a header, columns two spaces apart, without trailing spaces. */
export async function formatTable(header: Row, rows: readonly Row[]): Promise<string> {
  return align([header, ...rows], {
    widths: header.map(() => 0),
    measure: await measureOf([header, ...rows]),
  });
}

/** The same for more rows than one has at a time: a column is as wide as its widest cell up to then. */
export async function* formatPages(
  header: Row,
  pages: AsyncIterable<readonly Row[]>,
): AsyncGenerator<string> {
  const widths = header.map(() => 0);
  let isFirst = true;
  for await (const page of pages) {
    const rows = isFirst ? [header, ...page] : page;
    isFirst = false;
    if (rows.length > 0) yield align(rows, { widths, measure: await measureOf(rows) });
  }
}

/** Widens the widths to what the rows need. */
function align(
  rows: readonly Row[],
  { widths, measure }: { widths: number[]; measure: (text: string) => number },
): string {
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, measure(cell));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - measure(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What knows wide characters takes longer to load than a table takes to print, and few tables have any. */
async function measureOf(rows: readonly Row[]): Promise<(text: string) => number> {
  if (rows.every((row) => row.every((cell) => /^[ -~]*$/.test(cell)))) return ({ length }) => length;
  const { default: stringWidth } = await import('string-width');
  return stringWidth;
}
