/**
 * Puts stages before the first of a Dockerfile, so that it may refer to them by name. The engine's build API has no
 * other way to give a Dockerfile more than one context. What the user wrote keeps its meaning: stages known by number
 * are counted on, and what engines say about lines can be counted back.
 */
import { parseInstructions, type Instruction } from './dockerfile.ts';

export interface AddedStage {
  /** In lower case, as names of stages are compared. */
  readonly name: string;
  /** What its FROM names. */
  readonly image: string;
}

export interface StagedDockerfile {
  readonly text: string;
  /** Undefined for the last stage. */
  readonly target: string | undefined;
  /** Turns what an engine says of a line or stage of `text` into what it is in the user's Dockerfile. */
  readonly inUsersTerms: (message: string) => string;
}

interface Replacement {
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

/** A stage of the Dockerfile that has an added one's name is replaced by it, as named contexts of buildx do. */
export function addStages(
  dockerfile: string,
  { stages, target }: { readonly stages: readonly AddedStage[]; readonly target?: string | undefined },
): StagedDockerfile {
  const instructions = parseInstructions(dockerfile);
  const froms = instructions.filter(({ keyword }) => keyword === 'FROM');
  const [first] = froms;
  if (first === undefined || stages.length === 0) {
    return { text: dockerfile, target, inUsersTerms: (message) => message };
  }
  const added = new Map(stages.map(({ name }, index) => [name, index]));
  const ownNames = froms.map((from) => stageName(from));
  const numberOf = (own: number): number =>
    added.get(ownNames[own]?.text.toLowerCase() ?? '') ?? own + stages.length;
  const replacements = [
    ...ownNames.flatMap((name) =>
      name !== undefined && added.has(name.text.toLowerCase()) ? [outOfTheWay(name)] : [],
    ),
    ...instructions.flatMap(references).flatMap((reference) => replacementOf(reference, { added, numberOf })),
    {
      at: first.start,
      length: 0,
      text: stages.map(({ name, image }) => `FROM ${image} AS ${name}\n`).join(''),
    },
  ];
  const last = ownNames.at(-1)?.text.toLowerCase();
  return {
    text: replaceAll(dockerfile, replacements),
    target: target ?? (last !== undefined && added.has(last) ? last : undefined),
    inUsersTerms: countBack({
      lines: dockerfile.slice(0, first.start).split('\n').length,
      stages: stages.length,
    }),
  };
}

interface Word {
  readonly text: string;
  readonly at: number;
}

interface Reference extends Word {
  readonly instruction: 'FROM' | 'COPY' | 'RUN';
}

function stageName({ body, places }: Instruction): Word | undefined {
  const found = /^(?:--\S+\s+)*\S+\s+[aA][sS]\s+(\S+)/d.exec(body);
  return wordOf(found?.indices?.[1], { body, places });
}

/** Where an instruction names a stage or an image. */
function references({ keyword, body, places }: Instruction): Reference[] {
  switch (keyword) {
    case 'FROM': {
      const found = /^(?:--\S+\s+)*([^\s-]\S*)/d.exec(body);
      const word = wordOf(found?.indices?.[1], { body, places });
      return word === undefined ? [] : [{ ...word, instruction: keyword }];
    }
    case 'COPY':
    case 'RUN': {
      const pattern =
        keyword === 'COPY' ? /(?:^|\s)--from="?([^\s"]+)/dg : /(?:--mount=|,)"?from=([^\s,"]+)/dg;
      const flags = /^(?:--\S+(?:\s+|$))*/.exec(body)?.[0] ?? '';
      return [...flags.matchAll(pattern)].flatMap(({ indices }) => {
        const word = wordOf(indices?.[1], { body, places });
        return word === undefined ? [] : [{ ...word, instruction: keyword }];
      });
    }
    default:
      return [];
  }
}

function wordOf(
  range: readonly [number, number] | undefined,
  { body, places }: Pick<Instruction, 'body' | 'places'>,
): Word | undefined {
  const at = range === undefined ? undefined : places[range[0]];
  return range === undefined || at === undefined ? undefined : { text: body.slice(...range), at };
}

interface Naming {
  readonly added: ReadonlyMap<string, number>;
  /** Of a stage of the user's, by its number there. */
  readonly numberOf: (own: number) => number;
}

function replacementOf({ text, at, instruction }: Reference, { added, numberOf }: Naming): Replacement[] {
  if (instruction === 'COPY' && /^\d+$/.test(text)) {
    return [{ at, length: text.length, text: String(numberOf(Number(text))) }];
  }
  const familiar = familiarName(text);
  return familiar !== text && added.has(familiar) ? [{ at, length: text.length, text: familiar }] : [];
}

/** `docker.io/library/alpine:latest` is `alpine`, and is meant by a context of that name. */
function familiarName(reference: string): string {
  return reference.replace(/^(?:(?:index\.)?docker\.io\/)?(?:library\/)?/, '').replace(/:latest$/, '');
}

/** It stays where it is, so that the numbers of others do, but nobody can mean it any more. */
function outOfTheWay({ text, at }: Word): Replacement {
  return { at: at + text.length, length: 0, text: '.replaced' };
}

function replaceAll(text: string, replacements: readonly Replacement[]): string {
  const parts: string[] = [];
  let done = 0;
  for (const { at, length, text: by } of replacements.toSorted((left, right) => left.at - right.at)) {
    parts.push(text.slice(done, at), by);
    done = at + length;
  }
  return [...parts, text.slice(done)].join('');
}

interface Added {
  /** Of the first line that was moved. */
  readonly lines: number;
  readonly stages: number;
}

function countBack({ lines, stages }: Added): (message: string) => string {
  const back = (number: string, from: number): string =>
    String(Number(number) >= from + stages ? Number(number) - stages : number);
  return (message) =>
    message
      .replace(
        /(parse error (?:on )?line )(\d+)/,
        (_, words: string, line: string) => words + back(line, lines),
      )
      .replace(/(^\[(?:\S+ )?stage-)(\d+)(?= )/, (_, words: string, stage: string) => words + back(stage, 0))
      .replace(/(invalid stage index )(\d+)/, (_, words: string, stage: string) => words + back(stage, 0));
}
