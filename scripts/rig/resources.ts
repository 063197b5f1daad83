/** Things to be given back in reverse order: what AsyncDisposableStack is where Node has it. */
export class Resources implements AsyncDisposable {
  readonly #undo: (() => PromiseLike<void>)[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#undo.push(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  defer(undo: () => PromiseLike<void>): void {
    this.#undo.push(undo);
  }

  /** Gives everything to a new owner; disposing this one does nothing any more. */
  move(): Resources {
    const moved = new Resources();
    moved.#undo.push(...this.#undo.splice(0));
    return moved;
  }

  /** Every step runs; what went wrong is thrown at the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (const undo of this.#undo.splice(0).toReversed()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('\n'));
  }
}
