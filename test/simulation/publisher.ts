/** What the coordinator does at a registry that fails: reads images back, and moves tags one after the other. */
import type { Effect, VerifiedImage } from '../../coordinator/farm/events.ts';
import { formatAttempt } from '../../shared/attempt.ts';
import type { ErrorInfo } from '../../shared/errors.ts';
import { verifiedFrom } from '../support/farm-fixtures.ts';
import type { Untimed } from './events.ts';
import type { World } from './world.ts';

type EffectOf<Type extends Effect['type']> = Extract<Effect, { type: Type }>;

/** Of one life of the coordinator: what is asked for later does not happen if it dies before. */
interface Life {
  later(milliseconds: number, work: () => void): void;
  /** False where the coordinator died of it. */
  tell(event: Untimed): boolean;
}

interface Publication {
  readonly build: string;
  readonly digest: string;
  readonly tags: readonly string[];
  readonly previous: Readonly<Record<string, string>>;
}

const error: ErrorInfo = { code: 'registry-error', message: 'simulated' };

export class Publisher {
  readonly #world: World;
  readonly #life: Life;
  /** The registry: what each tag shows. */
  readonly #tags = new Map<string, string>();

  constructor(world: World, life: Life) {
    this.#world = world;
    this.#life = life;
  }

  verify({ attempt, image }: EffectOf<'verify'>): void {
    this.#soon(() => {
      if (this.#world.strikes('verify failed', 0.04)) {
        this.#life.tell({ type: 'failed', attempt, outcome: 'failed', kind: 'infrastructure', error });
        return;
      }
      this.#world.checker.verified(formatAttempt(attempt));
      this.#life.tell({ type: 'verified', attempt, image: verifiedFrom(attempt, image) });
    });
  }

  publish({ build, children, tags, previous }: EffectOf<'publish'>): void {
    const digest = listDigest(build, children);
    this.#soon(() => {
      // Where nothing says what a tag was before, one that has moved stays where it is.
      const moved = tags.some((tag) => this.#tags.get(tag) === digest);
      const publication = { build, digest, tags, previous: previous ?? {} };
      if (!moved && previous === undefined && this.#world.strikes('publish failed', 0.03))
        return this.#fail(publication);
      if (this.#world.strikes('list half there', 0.03)) this.#world.trace('registry', () => `${build} again`);
      if (tags.length === 1 || previous !== undefined) return this.#move(publication, 0);
      const shown = tags.flatMap((tag) => {
        const now = this.#tags.get(tag);
        return now === undefined ? [] : [[tag, now] as const];
      });
      const before = Object.fromEntries(shown);
      if (this.#life.tell({ type: 'moving', build, previous: before }))
        this.#soon(() => this.#move({ ...publication, previous: before }, 0));
    });
  }

  /** Agents that run what was published find nothing wrong with it. */
  prove({ build, platforms }: EffectOf<'prove'>): void {
    const proofs = platforms.map((platform) => [platform, { status: 'passed' }] as const);
    this.#soon(() => this.#life.tell({ type: 'proved', build, proofs: Object.fromEntries(proofs) }));
  }

  #move(publication: Publication, index: number): void {
    const { build, digest, tags } = publication;
    const tag = tags[index];
    if (tag === undefined) {
      const descriptor = { mediaType: 'list', digest, size: 1 };
      return void this.#life.tell({ type: 'published', build, descriptor, tags, duration: 1 });
    }
    const isAlone = tags.length === 1;
    const there = this.#tags.get(tag) === digest;
    if (!(isAlone && there) && this.#world.strikes('tag PUT failed', 0.03)) return this.#undo(publication);
    this.#world.checker.put(tag, { build, digest });
    this.#tags.set(tag, digest);
    // Without an answer it is put again.
    const next = this.#world.strikes('answer of tag PUT lost', 0.05) ? index : index + 1;
    return this.#soon(() => this.#move(publication, next));
  }

  #undo(publication: Publication): void {
    const { digest, tags, previous } = publication;
    for (const tag of tags) {
      if (this.#tags.get(tag) !== digest) continue;
      const before = previous[tag];
      this.#world.checker.putBack(tag, before);
      if (before === undefined) this.#tags.delete(tag);
      else this.#tags.set(tag, before);
    }
    this.#fail(publication);
  }

  #fail({ build }: Publication): void {
    this.#life.tell({ type: 'publish-failed', build, error });
  }

  #soon(work: () => void): void {
    this.#life.later(this.#world.random.between(10, 3000), work);
  }
}

function listDigest(build: string, children: readonly VerifiedImage[]): string {
  return `${build} ${children.map(({ descriptor }) => descriptor.digest).join(' ')}`;
}
