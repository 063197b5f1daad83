/** Something that nobody honest does, or that looks so: somebody should know of it. */
export interface SecurityEvent {
  readonly type: keyof typeof wordsOf;
  readonly agent: string;
  /** Address. */
  readonly from: string;
}

export type Alarm = (event: SecurityEvent) => void;

/** As the audit says it. */
export const wordsOf = {
  'join-token-reused': 'a token to join with was shown again after its use',
  'duplicate-agent': 'two live processes claim to be the same agent',
  'agent-name-refused': 'somebody came under the name of an agent without its certificate',
} as const;
