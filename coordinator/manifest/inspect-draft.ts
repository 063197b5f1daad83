/** A list that is not published yet, in the words of `docker manifest inspect`. */
import type { Registries } from '../registry/registries.ts';
import { memberName, memberOf, type Draft } from './draft.ts';
import type { PlatformFields } from './document.ts';
import { indent, marshalIndent } from './go-json.ts';
import { printList, verboseImage } from './inspect.ts';
import { lookUp } from './lookup.ts';
import type { GivenPlatform } from './given-platform.ts';
import type { Source } from './sources.ts';
import { together } from './together.ts';

/** All of it, or one member. Ends in a newline, as docker prints it. Throws `not-found`. */
export async function inspectDraft(
  draft: Draft,
  { member, verbose }: { member?: string | undefined; verbose: boolean },
  registries: Registries,
  signal: AbortSignal,
): Promise<string> {
  if (member !== undefined) {
    const source = memberOf(draft, member);
    const { manifest } = await lookUp(source.image, registries, signal);
    if (!verbose) return `${indent(manifest.bytes.toString('utf8'))}\n`;
    return `${marshalIndent(verboseImage(memberName(source), manifest, platformOf(source)))}\n`;
  }
  const members = await together(
    draft.members,
    async (source, signal) => ({ source, ...(await lookUp(source.image, registries, signal)) }),
    signal,
  );
  if (verbose) {
    const images = members.map(({ source, manifest }) =>
      verboseImage(memberName(source), manifest, platformOf(source)),
    );
    return `${marshalIndent(images)}\n`;
  }
  const entries = members.map(({ source, manifest: { mediaType, digest, bytes } }) => {
    return { mediaType, digest, size: bytes.length, platform: platformOf(source) };
  });
  return `${printList(entries)}\n`;
}

function platformOf({ platform }: Source): PlatformFields {
  const { os = '', architecture = '', variant, osVersion, osFeatures }: GivenPlatform = platform ?? {};
  return {
    os,
    architecture,
    'os.version': osVersion,
    'os.features': osFeatures === undefined ? undefined : [...osFeatures],
    variant,
  };
}
