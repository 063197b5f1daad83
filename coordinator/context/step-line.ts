/** The line of a Dockerfile whose step failed: engines tell its name, and not where it stands. */
import { formatReference, parseReference, withDefaultTag } from '../../shared/reference.ts';
import { readInstructions, type Instruction } from './instructions.ts';

export interface FailedStep {
  /** As BuildKit words it: `[build 2/5] RUN make`. */
  readonly step: string | undefined;
  /** Of the build's error. */
  readonly message: string | undefined;
}

interface Stage {
  readonly name: string | undefined;
  readonly from: Instruction;
  readonly instructions: readonly Instruction[];
}

/** What BuildKit counts as a step, besides a FROM that names an image. */
const counted = new Set(['ADD', 'COPY', 'RUN', 'WORKDIR']);
/** One that nothing closes goes to the end, so that this is looked for once. */
const variable = /\$(?:\w+|\{[^}]*(?:\}|$))/;

/** The line of an instruction, counted from 1; undefined where it cannot be told for sure. */
export function lineOfStep(dockerfile: string, { step, message }: FailedStep): number | undefined {
  const [, refused] = /dockerfile parse error (?:on )?line (\d+)/.exec(message ?? '') ?? [];
  if (refused !== undefined) return Number(refused);
  const instructions = readInstructions(dockerfile);
  const stages = stagesOf(instructions);
  const [, image] = /^\[[^\]]*\] load metadata for (\S+)$/.exec(step ?? '') ?? [];
  if (image !== undefined) return baseOf(stages, image)?.line;
  const [, label = '', number, total, name = ''] =
    /^\[(?:(.*?) )?(\d+)\/(\d+)\] (.*)$/s.exec(step ?? '') ?? [];
  if (number === undefined) return undefined;
  const stage = stageOf(stages, label.trim());
  if (stage === undefined) return undefined;
  const found = nth(stage, { number: Number(number), total: Number(total) });
  const named = namedBy(name);
  // Names have the values of arguments in them, and a base image may bring steps of its own: both have to agree.
  if (found !== undefined && fits(found, named)) return found.line;
  const like = only([stage.from, ...stage.instructions].filter((instruction) => fits(instruction, named)));
  return (like ?? (found?.keyword === named.keyword ? found : undefined))?.line;
}

function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const starts = instructions.flatMap(({ keyword }, index) => (keyword === 'FROM' ? [index] : []));
  return starts.flatMap((start, index) => {
    const from = instructions[start];
    if (from === undefined) return [];
    const [, name] = /\sAS\s+(\S+)$/i.exec(from.rest) ?? [];
    return [
      { name: name?.toLowerCase(), from, instructions: instructions.slice(start + 1, starts[index + 1]) },
    ];
  });
}

/** By name, or by number where it has none; the only one needs neither. */
function stageOf(stages: readonly Stage[], label: string): Stage | undefined {
  if (label === '') return only(stages);
  const [, index] = /^stage-(\d+)$/.exec(label) ?? [];
  return (
    stages.findLast(({ name }) => name === label) ?? (index === undefined ? undefined : stages[Number(index)])
  );
}

function nth(
  { from, instructions }: Stage,
  { number, total }: { number: number; total: number },
): Instruction | undefined {
  const steps = instructions.filter(({ keyword }) => counted.has(keyword));
  if (total === steps.length + 1) return [from, ...steps][number - 1];
  return total === steps.length ? steps[number - 1] : undefined;
}

interface StepName {
  /** In capitals. */
  readonly keyword: string;
  /** What follows it, bare. */
  readonly rest: string;
}

function namedBy(name: string): StepName {
  const keyword = name.split(/\s/, 1)[0] ?? '';
  return { keyword: keyword.toUpperCase(), rest: bare(name.slice(keyword.length)) };
}

/** Whether the instruction may have got this name: anything may stand for a variable, and for what is in a heredoc. */
function fits({ keyword, rest, hasHeredoc }: Instruction, named: StepName): boolean {
  if (keyword !== named.keyword) return false;
  // What is pulled is named in full, with its digest.
  if (keyword === 'FROM') return true;
  const known = hasHeredoc ? `${rest.slice(0, rest.indexOf('<<'))}$heredoc` : rest;
  const parts = known.split(variable).map(bare);
  return isMadeOf(named.rest, parts);
}

/** Without what shells take for quoting, which engines of different ages keep or not. */
function bare(text: string): string {
  return text.replace(/[\\"'\s]+/g, '');
}

/** Whether `text` is these parts in their order, with anything between them. */
function isMadeOf(text: string, parts: readonly string[]): boolean {
  const [first = '', ...others] = parts;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/** The FROM that names an image; where an argument may name it, the only one that does. */
function baseOf(stages: readonly Stage[], image: string): Instruction | undefined {
  const bases = stages.map(({ from }) => ({
    from,
    named: from.rest.split(/\s+/).find((word) => !word.startsWith('--')) ?? '',
  }));
  const wanted = fullName(image);
  const found =
    bases.find(({ named }) => fullName(named) === wanted) ??
    only(bases.filter(({ named }) => named.includes('$') && isMadeOf(image, named.split(variable))));
  return found?.from;
}

function fullName(text: string): string {
  try {
    return formatReference(withDefaultTag(parseReference(text)));
  } catch {
    return text;
  }
}

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}
