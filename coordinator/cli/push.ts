/** `archfarm push`: what manifest-tool does, with its files, its flags and its last line. */
import { ArchfarmError } from '../../shared/errors.ts';
import { formatReference, parseReference } from '../../shared/reference.ts';
import { pushList, type ListToPush, type PushedList } from '../manifest/push-list.ts';
import { sourcesOf } from '../manifest/template.ts';
import type { AttestationMode, ListType } from '../project/annotations.ts';
import type { GlobalOptions } from './global-options.ts';
import { registriesFor, type InsecureFlags } from './insecure.ts';
import { print, say } from './output.ts';
import { plainText } from './progress/sanitize.ts';

export interface PushFlags extends InsecureFlags {
  readonly type: ListType;
  readonly attestations?: AttestationMode;
  readonly ignoreMissing?: boolean;
  readonly force?: boolean;
}

export interface TemplateFlags extends PushFlags {
  readonly platforms: readonly string[];
  readonly template: string;
  readonly target: string;
  readonly tags?: readonly string[];
  readonly annotations?: readonly string[];
}

interface PushOptions<F> {
  readonly flags: F;
  readonly global: GlobalOptions;
}

export async function runFromSpec(file: string, { flags, global }: PushOptions<PushFlags>): Promise<void> {
  const { readSpecFile } = await import('../manifest/spec-file.ts');
  const { names, sources, annotations, warnings } = await readSpecFile(file);
  for (const warning of warnings) warn(warning);
  printLine(await pushOrTell({ names, sources, annotations }, { flags, global }));
}

export async function runFromArgs({ flags, global }: PushOptions<TemplateFlags>): Promise<void> {
  const { registry, repository } = parseReference(flags.target);
  const names = [
    flags.target,
    ...listed(flags.tags).map((tag) => formatReference({ registry, repository, tag })),
  ];
  const sources = sourcesOf(flags.template, listed(flags.platforms));
  const annotations = readNotes(flags.annotations);
  printLine(await pushOrTell({ names, sources, annotations }, { flags, global }));
}

/** Tells of the flag that does without an image which is not there. */
async function pushOrTell(
  list: Pick<ListToPush, 'names' | 'sources' | 'annotations'>,
  options: PushOptions<PushFlags>,
): Promise<PushedList> {
  return await pushAs(list, options).catch((error: unknown) => {
    if (!(error instanceof ArchfarmError) || error.code !== 'not-found') throw error;
    if (options.flags.ignoreMissing === true) throw error;
    const hint = [error.hint, '--ignore-missing publishes without it'].filter(Boolean).join('; ');
    throw new ArchfarmError(error.code, error.message, { hint, cause: error });
  });
}

/** As it is told, with what the flags say. */
export async function pushAs(
  list: Pick<ListToPush, 'names' | 'sources' | 'annotations'>,
  { flags, global }: PushOptions<PushFlags>,
): Promise<PushedList> {
  const { type, attestations, ignoreMissing = false, force = false } = flags;
  await using registries = registriesFor([...list.names, ...list.sources.map(({ image }) => image)], flags);
  return await pushList({ ...list, type, attestations, ignoreMissing, force }, registries, {
    signal: global.signal,
    onWarning: warn,
  });
}

function printLine({ descriptor: { digest, size } }: PushedList): void {
  print(`Digest: ${digest} ${size}`);
}

function warn(text: string): void {
  say(`archfarm: WARNING: ${plainText(text)}`);
}

function listed(values: readonly string[] = []): string[] {
  return values.flatMap((value) => value.split(',')).map((item) => item.trim());
}

function readNotes(texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text): [string, string] => {
      const end = text.indexOf('=');
      if (end > 0) return [text.slice(0, end), text.slice(end + 1)];
      throw new ArchfarmError('usage', `--annotations ${JSON.stringify(text)} is not NAME=VALUE`);
    }),
  );
}
