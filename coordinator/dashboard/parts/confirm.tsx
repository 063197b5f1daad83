/** A button whose order is asked about first, and whose refusal is shown. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { RequestError } from '../api/request.ts';

export interface OrderButtonProps {
  readonly name: string;
  /** What it does, said before it is done; without it, it is done at once. */
  readonly question?: string;
  readonly kind?: 'danger' | 'primary' | 'plain';
  readonly order: () => Promise<unknown>;
  readonly label?: string;
}

export function OrderButton({ name, question, kind, order, label }: OrderButtonProps) {
  const button = useRef<HTMLButtonElement>(null);
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<RequestError | undefined>();
  // Where nothing is left to press, keys go on from what was around it.
  useLayoutEffect(() => {
    const own = button.current;
    const asking = dialog.current;
    return () => {
      const { activeElement } = document;
      if (own !== null && (own === activeElement || asking?.contains(activeElement) === true)) leave(own);
    };
  }, []);
  const give = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await order();
      dialog.current?.close();
    } catch (thrown) {
      if (!(thrown instanceof RequestError)) throw thrown;
      setError(thrown);
      if (dialog.current?.open !== true) dialog.current?.showModal();
    } finally {
      setBusy(false);
    }
  };
  const begin = (): void => {
    if (busy) return;
    setError(undefined);
    if (question === undefined) void give();
    else dialog.current?.showModal();
  };
  return (
    <>
      {/* A disabled button would lose the focus, and who came by keys the place. */}
      <button
        type="button"
        ref={button}
        class={kind ?? 'plain'}
        aria-disabled={busy}
        aria-label={label}
        onClick={begin}
      >
        {name}
      </button>
      <dialog ref={dialog} aria-label={label ?? name}>
        {question !== undefined && <p>{question}</p>}
        {error !== undefined && (
          <div class="notice bad" role="alert">
            <p>{error.message}</p>
            {error.hint !== undefined && <p class="hint">{error.hint}</p>}
          </div>
        )}
        <div class="buttons">
          <button type="button" class="plain" onClick={() => dialog.current?.close()}>
            Close
          </button>
          {question !== undefined && (
            <button type="button" class={kind ?? 'primary'} aria-disabled={busy} onClick={() => void give()}>
              {name}
            </button>
          )}
        </div>
      </dialog>
    </>
  );
}

function leave(button: HTMLElement): void {
  button.parentElement?.closest<HTMLElement>('[tabindex]')?.focus({ preventScroll: true });
}
