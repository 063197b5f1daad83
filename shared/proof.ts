/** The proof that a published image runs: what an agent is asked to do for one platform, and what it saw. */
import type { ErrorInfo } from './errors.ts';
import type { RegistryAuth } from './task.ts';

/** What a user says of it. */
export interface ProofRequest {
  /** In place of the image's entrypoint and command; absent: the image starts as it is. */
  readonly command?: readonly string[] | undefined;
  /** Milliseconds that it may run; pulling is no part of it. */
  readonly timeout: number;
  /** Whether it gets the engine's default network; else it has its own loopback alone. */
  readonly network: boolean;
}

/** What an agent is told. */
export interface ProofOrder extends ProofRequest {
  /** By digest: `host/onap/py-app@sha256:…`, of a list or of an image. */
  readonly reference: string;
  /** Formatted. */
  readonly platform: string;
  /** For the pull alone; in memory only. */
  readonly auth: RegistryAuth;
}

/** Of a proof: `BUILD-ID` where it is of a build. `id` is 24 hexadecimal digits. */
export function nameProof(id: string, build: string | undefined): string {
  return build === undefined ? id : `${build}-${id}`;
}

/** Undefined where it is of none, or was named by a coordinator of an older version. */
export function buildOfProof(proof: string): string | undefined {
  return /^([a-z0-9]{1,32})-[0-9a-f]{24}$/.exec(proof)?.[1];
}

/** How an image showed that it runs: it ended with 0, its own health check said so, or it was still up. */
export type ProofManner = 'exited' | 'healthy' | 'up';

/** The end of one try. `output` is the end of what it wrote to both streams. */
export type ProofOutcome =
  | {
      readonly status: 'passed';
      readonly manner: ProofManner;
      readonly output: string;
      /** Milliseconds with the pull. */
      readonly duration: number;
    }
  /** `kind` decides whether another try makes sense: an image that fails is not tried again. */
  | {
      readonly status: 'failed';
      readonly kind: 'image' | 'infrastructure';
      readonly error: ErrorInfo;
      readonly output: string;
      readonly duration: number;
    };

/** How the proof of one platform ended, as results hold it. */
export interface ProofResult {
  readonly status: 'passed' | 'failed';
  readonly manner?: ProofManner | undefined;
  /** Absent where there was no agent for it. */
  readonly agent?: string | undefined;
  readonly native?: boolean | undefined;
  /** The last line of its output. */
  readonly lastLine?: string | undefined;
  readonly duration?: number | undefined;
  readonly error?: ErrorInfo | undefined;
}

/** The last line that says something. */
export function lastLineOf(output: string): string | undefined {
  return output
    .split(/[\r\n]+/)
    .findLast((line) => line.trim() !== '')
    ?.trim();
}
