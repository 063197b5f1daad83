/** Where in the dashboard somebody is: the path and the query of the address. */
import { computed, signal } from '@preact/signals';

const address = signal(read());

function read(): string {
  return location.pathname + location.search;
}

addEventListener('popstate', () => {
  address.value = read();
});

/** Decoded segments: `builds`, `1qeaqexa9vwts`. */
export const segments = computed(() =>
  (address.value.split('?')[0] ?? '')
    .split('/')
    .filter((part) => part !== '')
    .map(decoded),
);

/** An address that somebody wrote may be no UTF-8: it is shown as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const query = computed(() => new URLSearchParams(address.value.split('?')[1] ?? ''));

export function go(path: string, { replace = false }: { replace?: boolean } = {}): void {
  if (path === address.value) return;
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  address.value = path;
  if (!replace) scrollTo(0, 0);
}

/** Changes the query alone; empty values leave it. */
export function setQuery(change: Readonly<Record<string, string>>): void {
  const next = new URLSearchParams(query.value);
  for (const [name, value] of Object.entries(change)) {
    if (value === '') next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  go(location.pathname + (text === '' ? '' : `?${text}`), { replace: true });
}
