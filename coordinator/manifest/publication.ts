/** What is to be published, and over what. */
import type { Annotations, ListType } from '../project/annotations.ts';
import type { ListedImage } from './list.ts';

export interface Publication {
  readonly children: readonly ListedImage[];
  readonly tags: readonly string[];
  /** Formatted: those that the tags may have and keep. The children's where absent. */
  readonly platforms?: readonly string[] | undefined;
  readonly type?: ListType | undefined;
  readonly annotations?: Annotations | undefined;
  /** Also give each child a tag in the final repositories: `latest-arm64v8`. */
  readonly childTags?: boolean | undefined;
  /** A tag may lose platforms. */
  readonly force?: boolean | undefined;
  /** Digest of the list that was amended: tags that stand for another one by now are left alone, with a warning. */
  readonly base?: string | undefined;
  /** What the tags stood for when an earlier run of this publication began to move them. */
  readonly previous?: Readonly<Record<string, string>> | undefined;
}
