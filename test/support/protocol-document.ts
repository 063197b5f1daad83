/** The parts of a document of the protocol: sections with their tables and examples. */
import { readFile } from 'node:fs/promises';

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Section {
  readonly table: Table | undefined;
  /** What its blocks of JSON lines hold. */
  readonly examples: readonly unknown[];
  readonly text: string;
}

/** Sections by their headings, each up to the next heading. `path` is from the root of the repository. */
export async function readSections(path: string): Promise<ReadonlyMap<string, Section>> {
  const text = await readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
  const parts = text.split(/^#+ (.*)$/m).slice(1);
  const sections = new Map<string, Section>();
  for (let at = 0; at < parts.length; at += 2) {
    const [heading = '', body = ''] = parts.slice(at, at + 2);
    const lines = [...body.matchAll(/^```jsonl\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
      block.split('\n'),
    );
    const examples = lines.filter((line) => line !== '').map((line): unknown => JSON.parse(line));
    sections.set(heading, { table: tablesIn(body)[0], examples, text: body });
  }
  return sections;
}

export function tablesIn(text: string): Table[] {
  return [...text.matchAll(/(?:^\|.*\|\n)+/gm)].map(([block]) => {
    const [header = [], , ...rows] = block.trimEnd().split('\n').map(cellsOf);
    return { header, rows };
  });
}

function cellsOf(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll(String.raw`\|`, '|'));
}

/** The words in back quotes. */
export function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}
