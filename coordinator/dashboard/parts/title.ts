/** What a tab, a bookmark and the history of a browser call the page. */
import { useEffect } from 'preact/hooks';

/** Undefined where another part of the page says it. */
export function useTitle(what: string | undefined): void {
  useEffect(() => {
    if (what !== undefined) document.title = `${what} · archfarm`;
  }, [what]);
}
