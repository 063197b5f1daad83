/** What running attempts have asked the coordinator and wait for; asked again after a reconnect. */
import { untilAborted } from '../shared/abort.ts';
import type { Answer, Question } from '../shared/messages.ts';

interface Open {
  readonly attempt: string;
  readonly ask: number;
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
}

export class Questions {
  readonly #send: (attempt: string, ask: number, question: Question) => void;
  readonly #open = new Map<number, Open>();
  #next = 1;

  constructor(send: (attempt: string, ask: number, question: Question) => void) {
    this.#send = send;
  }

  /** Waits through reconnects; rejects only with the signal's reason. */
  async ask(attempt: string, question: Question, signal: AbortSignal): Promise<Answer> {
    const ask = this.#next++;
    const answered = new Promise<Answer>((resolve) => {
      this.#open.set(ask, { attempt, ask, question, resolve });
    });
    this.#send(attempt, ask, question);
    try {
      return await untilAborted(answered, signal);
    } finally {
      this.#open.delete(ask);
    }
  }

  answer(attempt: string, ask: number, answer: Answer): void {
    const open = this.#open.get(ask);
    if (open?.attempt === attempt) open.resolve(answer);
  }

  resend(): void {
    for (const { attempt, ask, question } of this.#open.values()) this.#send(attempt, ask, question);
  }
}
