/**
 * Judges a farm by what is left of its work, after each fault: in the registry, in what a witness before it saw, in
 * the store, in the logs, on the engines. Pure, and sharing no code with the product: what it is given was read with
 * plain requests and plain SQL. Each violation names its invariant.
 */

export interface Asked {
  readonly build: string;
  /** With tag: `app:latest`. */
  readonly tag: string;
  readonly nonce: string;
  readonly platforms: readonly string[];
}

export interface StoredBuild {
  readonly id: string;
  readonly sequence: number;
  /** Undefined while it has not ended. */
  readonly status: string | undefined;
  /** Of the list that it published. */
  readonly digest: string | undefined;
}

export interface TagPut {
  readonly tag: string;
  readonly digest: string;
  /** Undefined where the body is no list. */
  readonly platforms: readonly string[] | undefined;
  readonly missing: readonly string[];
  /** Whether the registry took it. */
  readonly taken: boolean;
}

export interface PublishedImage {
  readonly build: string;
  readonly digest: string;
  readonly platforms: readonly {
    /** As the list says, and as the image's configuration says. */
    readonly listed: string;
    readonly configured: string;
    /** Whether all bytes are those of their digests. */
    readonly whole: boolean;
    /** What the image printed when it ran. */
    readonly printed: string;
  }[];
}

export interface LoggedFrame {
  readonly seq: number;
  readonly type: string;
  readonly platform?: string | undefined;
  readonly state?: string | undefined;
  readonly attempt?: number | undefined;
}

export interface Evidence {
  readonly asked: readonly Asked[];
  readonly builds: readonly StoredBuild[];
  /** To final tags, in their order. */
  readonly puts: readonly TagPut[];
  /** What each final tag is now. */
  readonly tags: ReadonlyMap<string, string | undefined>;
  /** Lists of builds that succeeded. */
  readonly images: readonly PublishedImage[];
  readonly logs: ReadonlyMap<string, readonly LoggedFrame[]>;
  /** Places where a secret was found. */
  readonly leaks: readonly string[];
  /** Containers, processes, open sockets and unsettled reports that should be gone. */
  readonly leftovers: readonly string[];
}

const final: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled', 'superseded']);
const settled: ReadonlySet<string> = new Set(['pushed', 'failed', 'cancelled', 'skipped']);

/** All violations of I1 to I10; none when all is well. */
export function audit(evidence: Evidence): string[] {
  return [
    ...everyBuildEnds(evidence),
    ...everySuccessIsWhole(evidence),
    ...onlySuccessMovesTags(evidence),
    ...noTagIsHalfPublished(evidence),
    ...tagsMoveOnceAndForward(evidence),
    ...evidence.leaks.map((place) => `I6: a secret is in ${place}`),
    ...imagesAreTheirOwn(evidence),
    ...evidence.leftovers.map((thing) => `I8: left: ${thing}`),
    ...logsAreWhole(evidence),
    ...transitionsHappenOnce(evidence),
  ];
}

function everyBuildEnds({ asked, builds }: Evidence): string[] {
  const known = new Map(builds.map((build) => [build.id, build]));
  return [
    ...asked
      .filter(({ build }) => !known.has(build))
      .map(({ build }) => `I1: build ${build} was accepted and is lost`),
    ...builds
      .filter(({ status }) => status === undefined || !final.has(status))
      .map(({ id }) => `I1: build ${id} has not ended`),
  ];
}

function everySuccessIsWhole({ asked, builds, images }: Evidence): string[] {
  return builds
    .filter(({ status }) => status === 'succeeded')
    .flatMap(({ id }) => {
      const image = images.find(({ build }) => build === id);
      if (image === undefined) return [`I2: build ${id} succeeded, and its list is not in the registry`];
      const wanted = asked.find(({ build }) => build === id)?.platforms.toSorted() ?? [];
      const listed = image.platforms.map((platform) => platform.listed).toSorted();
      return [
        ...(wanted.join() === listed.join()
          ? []
          : [`I2: the list of build ${id} has ${listed.join()}, wanted ${wanted.join()}`]),
        ...image.platforms
          .filter((platform) => !platform.whole)
          .map((platform) => `I2: ${platform.listed} of build ${id} is not what its digest says`),
        ...image.platforms
          .filter((platform) => architectureOf(platform.listed) !== architectureOf(platform.configured))
          .map((platform) => `I2: ${platform.listed} of build ${id} is for ${platform.configured}`),
      ];
    });
}

function onlySuccessMovesTags({ asked, builds, puts, tags }: Evidence): string[] {
  return [...tags].flatMap(([tag, now]) => {
    const successes = buildsOf(tag, { asked, builds }).filter(({ status }) => status === 'succeeded');
    const digests = new Set(successes.map(({ digest }) => digest));
    const last = successes.toSorted((one, other) => one.sequence - other.sequence).at(-1)?.digest;
    return [
      ...puts
        .filter((put) => put.tag === tag && put.taken && !digests.has(put.digest))
        .map((put) => `I3: ${tag} was moved to ${put.digest}, which no build has published`),
      ...(now === last ? [] : [`I3: ${tag} is ${now}, and the last success was ${last}`]),
    ];
  });
}

function noTagIsHalfPublished({ asked, puts }: Evidence): string[] {
  return puts.flatMap(({ tag, digest, platforms, missing }) => {
    if (platforms === undefined) return [`I4: ${digest}, put to ${tag}, is no list`];
    const orders = asked
      .filter((order) => order.tag === tag)
      .map((order) => order.platforms.toSorted().join());
    return [
      ...missing.map((child) => `I4: ${digest} was put to ${tag} while its ${child} was missing`),
      ...(orders.includes(platforms.toSorted().join())
        ? []
        : [`I4: ${digest}, put to ${tag}, has only ${platforms.join()}`]),
    ];
  });
}

function tagsMoveOnceAndForward({ asked, builds, puts }: Evidence): string[] {
  return [...new Set(puts.map(({ tag }) => tag))].flatMap((tag) => {
    const moves = puts.filter((put) => put.tag === tag).map(({ digest }) => digest);
    const ofTag = buildsOf(tag, { asked, builds });
    const sequences = moves.map((digest) => ofTag.find((build) => build.digest === digest)?.sequence ?? 0);
    const back = sequences.findIndex((sequence, index) => sequence < (sequences[index - 1] ?? 0));
    const distinct = new Set(moves).size;
    return [
      ...(back === -1 ? [] : [`I5: ${tag} went back to ${moves[back]}, which is of an older build`]),
      ...(distinct <= ofTag.length ? [] : [`I5: ${ofTag.length} builds put ${distinct} lists to ${tag}`]),
    ];
  });
}

function imagesAreTheirOwn({ asked, images }: Evidence): string[] {
  return images.flatMap(({ build, platforms }) => {
    const nonce = asked.find((order) => order.build === build)?.nonce;
    if (nonce === undefined) return [`I7: nobody asked for build ${build}`];
    return platforms
      .filter(({ printed }) => printed !== nonce)
      .map(({ listed, printed }) => `I7: ${listed} of build ${build} prints ${printed}, not ${nonce}`);
  });
}

function logsAreWhole({ logs }: Evidence): string[] {
  return [...logs].flatMap(([build, frames]) => {
    const at = frames.findIndex(({ seq }, index) => seq !== index + 1);
    return at === -1 ? [] : [`I9: frame ${at + 1} of build ${build} has the number ${frames[at]?.seq}`];
  });
}

/** A build has no stored chain of its transitions once it has ended: its log has them, in the order they were stored. */
function transitionsHappenOnce({ builds, logs }: Evidence): string[] {
  return builds.flatMap(({ id, status }) => {
    const frames = logs.get(id) ?? [];
    const results = frames.filter(({ type }) => type === 'result').length;
    const states = frames.filter(({ type, platform }) => type === 'state' && platform === undefined);
    const ends = states.filter(({ state }) => final.has(state ?? ''));
    return [
      ...(status === undefined || results === 1 ? [] : [`I10: build ${id} has ${results} results`]),
      ...(results === 0 || frames.at(-1)?.type === 'result'
        ? []
        : [`I10: build ${id} goes on after its result`]),
      ...(ends.length <= 1 ? [] : [`I10: build ${id} ended ${ends.length} times`]),
      ...tasksGoForward(id, frames),
    ];
  });
}

function tasksGoForward(id: string, frames: readonly LoggedFrame[]): string[] {
  const last = new Map<string, LoggedFrame>();
  const violations: string[] = [];
  for (const frame of frames) {
    if (frame.type !== 'state' || frame.platform === undefined) continue;
    const before = last.get(frame.platform);
    if (settled.has(before?.state ?? '')) {
      violations.push(`I10: ${frame.platform} of build ${id} was ${before?.state}, then ${frame.state}`);
    }
    // What ends a task may be the late word of an attempt that was given up: the first result counts.
    if (!settled.has(frame.state ?? '') && (frame.attempt ?? Infinity) < (before?.attempt ?? 0)) {
      violations.push(`I10: ${frame.platform} of build ${id} went back to attempt ${frame.attempt}`);
    }
    last.set(frame.platform, frame);
  }
  return violations;
}

function buildsOf(
  tag: string,
  { asked, builds }: Pick<Evidence, 'asked' | 'builds'>,
): readonly StoredBuild[] {
  const ids = new Set(asked.filter((order) => order.tag === tag).map(({ build }) => build));
  return builds.filter(({ id }) => ids.has(id));
}

function architectureOf(platform: string): string {
  return platform.split('/').slice(0, 2).join('/');
}
