/**
 * A value in a YAML file that knows where it stands, so that every complaint names file, line and column.
 * All scalars are text as it was written (`1.10` stays `1.10`), with variables put in when they are read.
 */
import { LineCounter, isAlias, isMap, isNode, isScalar, isSeq, parseDocument, type Document } from 'yaml';
import { ArchfarmError, messageOf } from '../../shared/errors.ts';
import { interpolate, type Environment } from './interpolate.ts';

/** Anchors may be used, but not to blow a small file up ("billion laughs"). */
const maxAliasCount = 100;

export interface YamlText {
  readonly path: string;
  readonly text: string;
  /** Absent where `$` has no meaning. */
  readonly environment?: Environment;
  /** Another language of variables than that of Compose. */
  readonly templates?: Templates;
}

export interface Templates {
  /** Throws an Error that says what is wrong with the text. */
  expand(text: string): string;
  /** Whether a text stands for no value at all. */
  isNull(text: string): boolean;
}

export interface YamlSource extends YamlText {
  readonly environment: Environment;
}

type Path = readonly (string | number)[];

interface YamlFile {
  readonly source: YamlText;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly unset: Set<string>;
}

/** Parses a file; throws `config` with line and column. */
export function parseYaml(source: YamlText): YamlValue {
  const file = readDocument(source, true);
  try {
    return new YamlValue(file, [], file.document.toJS({ maxAliasCount }));
  } catch (error) {
    throw new ArchfarmError('config', `${source.path}: ${messageOf(error)}`, { cause: error });
  }
}

/** JSON is YAML nearly always; its own parser knows the rest, and what a number is worth (`1.10` is `1.1`). */
export function parseJson(source: YamlText): YamlValue {
  const file = readDocument(source, isSameKey);
  try {
    const content: unknown = JSON.parse(source.text, (_key, value: unknown) =>
      typeof value === 'number' || typeof value === 'boolean' ? String(value) : value,
    );
    return new YamlValue(file, [], content);
  } catch (error) {
    throw new ArchfarmError('config', `${source.path}: ${messageOf(error)}`, { cause: error });
  }
}

function readDocument(source: YamlText, uniqueKeys: boolean | typeof isSameKey): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(source.text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: 'failsafe',
    customTags: ['null'],
    merge: true,
    uniqueKeys,
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    if (error.code === 'MULTIPLE_DOCS') {
      throw new ArchfarmError('config', `${source.path}:${line}:${col}: a second document begins here`, {
        hint: 'a file is one document: put the other into a file of its own, or take the --- away',
      });
    }
    throw new ArchfarmError('config', `${source.path}:${line}:${col}: ${error.message}`, { cause: error });
  }
  return { source, document, lines, unset: new Set() };
}

/** Comments in JSON all have the key `//`; any other that is there twice would hide something. */
function isSameKey(one: unknown, other: unknown): boolean {
  return isScalar(one) && isScalar(other) && one.value === other.value && one.value !== '//';
}

export class YamlValue {
  readonly #file: YamlFile;
  readonly #path: Path;
  readonly #content: unknown;

  constructor(file: YamlFile, path: Path, content: unknown) {
    this.#file = file;
    this.#path = path;
    this.#content = content;
  }

  /** Written, and `null`. */
  get isNull(): boolean {
    return this.#content === null;
  }

  /** Nothing was written, or `null`. */
  get isEmpty(): boolean {
    if (this.#content === undefined || this.#content === null) return true;
    return typeof this.#content === 'string' && this.#file.source.templates?.isNull(this.#content) === true;
  }

  get isText(): boolean {
    return typeof this.#content === 'string';
  }

  get isList(): boolean {
    return Array.isArray(this.#content);
  }

  /** `!reset` or `!override`, with which Compose files say how they are merged; undefined for other tags. */
  get mergeTag(): '!reset' | '!override' | undefined {
    const { node } = this.#place();
    const tag = isNode(node) && 'tag' in node ? node.tag : undefined;
    return tag === '!reset' || tag === '!override' ? tag : undefined;
  }

  /** Variables without a value that were met in the whole file so far. */
  get unsetVariables(): readonly string[] {
    return [...this.#file.unset];
  }

  text(): string {
    if (typeof this.#content !== 'string') throw this.error('must be a text');
    const { environment, templates } = this.#file.source;
    try {
      if (templates !== undefined) return templates.expand(this.#content);
      if (environment === undefined) return this.#content;
      const { text, unset } = interpolate(this.#content, environment);
      for (const name of unset) this.#file.unset.add(name);
      return text;
    } catch (error) {
      throw this.error(messageOf(error));
    }
  }

  /** The text as something else; the parser's errors get this value's place. */
  read<T>(parse: (text: string) => T): T {
    const text = this.text();
    return this.place(() => parse(text));
  }

  /** Gives an error that does not know this file its place. */
  place<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ArchfarmError) throw this.error(error.message, error.hint);
      throw error;
    }
  }

  optionalText(): string | undefined {
    return this.isEmpty ? undefined : this.text() || undefined;
  }

  /** `true` or `false`, or another word that Compose takes for one of them; false when absent. */
  flag(): boolean {
    if (this.isEmpty) return false;
    const text = this.text();
    if (/^(?:true|yes|y|on)$/i.test(text)) return true;
    if (/^(?:false|no|n|off)$/i.test(text)) return false;
    throw this.error(`must be true or false, not ${text}`);
  }

  /** The items of a list; none when absent. */
  items(): YamlValue[] {
    if (this.isEmpty) return [];
    if (!Array.isArray(this.#content)) throw this.error('must be a list');
    return this.#content.map(
      (item: unknown, index) => new YamlValue(this.#file, [...this.#path, index], item),
    );
  }

  /** The entries of a mapping in the order of the file; none when absent. */
  entries(): [key: string, value: YamlValue][] {
    if (this.isEmpty) return [];
    const content = this.#content;
    if (typeof content !== 'object' || content === null || Array.isArray(content)) {
      throw this.error('must be a mapping');
    }
    return Object.entries(content).map(([key, value]: [string, unknown]) => [
      key,
      new YamlValue(this.#file, [...this.#path, key], value),
    ]);
  }

  /** The value under a key of a mapping, empty when there is none. */
  get(key: string): YamlValue {
    const found = this.entries().find(([name]) => name === key);
    return found?.[1] ?? new YamlValue(this.#file, [...this.#path, key], undefined);
  }

  error(message: string, hint?: string): ArchfarmError {
    const { line, col } = this.#position();
    const where = this.#path.length === 0 ? '' : `${this.#path.join('.')}: `;
    return new ArchfarmError('config', `${this.#file.source.path}:${line}:${col}: ${where}${message}`, {
      hint,
    });
  }

  #position(): { line: number; col: number } {
    return this.#file.lines.linePos(this.#place().offset);
  }

  /** Of the deepest part of the path that is written in the file: merged and aliased values stand elsewhere. */
  #place(): { readonly offset: number; /** Of the whole path. */ readonly node?: unknown } {
    let node: unknown = this.#file.document.contents;
    let offset = 0;
    for (const step of this.#path) {
      if (isAlias(node)) node = node.resolve(this.#file.document);
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
        if (pair === undefined) return { offset };
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        if (isNode(node)) offset = node.range?.[0] ?? offset;
      } else {
        return { offset };
      }
    }
    return { offset, node };
  }
}
