/** What is kept of an agent that may join by certificate, or has. */

export interface AgentRecord {
  readonly name: string;
  /** Formatted; none: whatever it offers. */
  readonly platforms: readonly string[];
  /** Registries, namespaces and repositories that it may push to; none: all. */
  readonly repositories: readonly string[];
  /** The one that it may join with; none once it has. */
  readonly ticket?: Ticket | undefined;
  /** Hashes of those that are used up: somebody who comes with one again may have stolen it. */
  readonly usedTickets: readonly string[];
  /** Those that have not expired. */
  readonly certificates: readonly IssuedCertificate[];
  /** Milliseconds since 1970; it is refused until it is added anew. */
  readonly removedAt?: number | undefined;
}

export interface Ticket {
  /** sha256 of its secret, hexadecimal. */
  readonly hash: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface IssuedCertificate {
  /** sha256, hexadecimal. */
  readonly fingerprint: string;
  /** Milliseconds since 1970; absent in records of earlier versions. */
  readonly issuedAt?: number | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Refused for good. */
  readonly revoked?: true | undefined;
}

export function newRecord(name: string): AgentRecord {
  return { name, platforms: [], repositories: [], usedTickets: [], certificates: [] };
}

/** It has a certificate that counts. */
export function hasJoined(record: AgentRecord): boolean {
  return record.removedAt === undefined && record.certificates.some(({ revoked }) => revoked !== true);
}
