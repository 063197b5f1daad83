/** A link within the dashboard. */
import type { ComponentChildren } from 'preact';
import { go } from './router.ts';

export interface LinkProps {
  readonly to: string;
  readonly class?: string;
  readonly label?: string;
  readonly current?: boolean;
  readonly children: ComponentChildren;
}

export function Link({ to, label, current = false, children, ...rest }: LinkProps) {
  return (
    <a
      href={to}
      aria-label={label}
      aria-current={current ? 'page' : undefined}
      class={rest.class}
      onClick={(event) => {
        // Whoever wants another tab gets it.
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}

export function buildPath(build: string): string {
  return `/builds/${build}`;
}
