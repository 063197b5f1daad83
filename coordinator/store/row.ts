/** Columns of SQLite's rows, which come without a type. */
export function textOf(row: unknown, column: string): string {
  const value = valueOf(row, column);
  if (typeof value !== 'string') throw new TypeError(`column ${column} holds no text`);
  return value;
}

export function numberOf(row: unknown, column: string): number {
  const value = valueOf(row, column);
  if (typeof value !== 'number') throw new TypeError(`column ${column} holds no number`);
  return value;
}

function valueOf(row: unknown, column: string): unknown {
  return typeof row === 'object' && row !== null ? Reflect.get(row, column) : undefined;
}
