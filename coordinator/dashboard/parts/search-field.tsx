/** A field that narrows down what is shown; `/` leads to it. */
import type { KeyboardEventHandler } from 'preact';

export interface SearchFieldProps {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly search: (text: string) => void;
  readonly onKeyDown?: KeyboardEventHandler<HTMLInputElement>;
}

export function SearchField({ label, search, ...rest }: SearchFieldProps) {
  return (
    <input
      {...rest}
      type="search"
      class="filter"
      data-filter
      aria-label={label}
      aria-keyshortcuts="/"
      spellcheck={false}
      onInput={({ currentTarget }) => search(currentTarget.value)}
    />
  );
}
