/** The frame around every page: where one is, and whether the coordinator is there. */
import { useEffect } from 'preact/hooks';
import { askWho, isReader, userName } from './api/rights.ts';
import { refused, signOut, token } from './api/session.ts';
import { BuildPage } from './build/build-page.tsx';
import { BuildsPage } from './builds/builds-page.tsx';
import { FarmPage } from './farm/farm-page.tsx';
import { followFarm, isKnown, link } from './farm/farm.ts';
import { Link } from './parts/link.tsx';
import { segments } from './parts/router.ts';
import { ThemeButton } from './parts/theme.tsx';
import { useTitle } from './parts/title.ts';
import { SignIn } from './sign-in.tsx';

export function App() {
  const key = token.value;
  const isRefused = refused.value !== undefined;
  useTitle(isRefused ? 'Sign in' : undefined);
  useEffect(() => {
    if (isRefused) return undefined;
    const stop = new AbortController();
    const { signal } = stop;
    const waiting = (): void => {
      link.value = { state: 'waiting' };
    };
    // One after the other: whoever is not known is refused only once.
    void askWho({ signal, waiting }).then(() =>
      refused.value === undefined ? followFarm(signal) : undefined,
    );
    return () => stop.abort();
  }, [key, isRefused]);
  useEffect(() => {
    addEventListener('keydown', takeKey);
    return () => removeEventListener('keydown', takeKey);
  }, []);
  if (isRefused) return <SignIn />;
  const [page = '', id] = segments.value;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <Link to="/" class="brand">
          <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <path d="M16 5 L27 11 L16 17 L5 11 Z" class="filled" />
            <path d="M5 16 L16 22 L27 16" />
            <path d="M5 21 L16 27 L27 21" class="faint" />
          </svg>
          archfarm
        </Link>
        <nav aria-label="Pages">
          <Link to="/" current={page === '' || page === 'agents'}>
            Farm
          </Link>
          <Link to="/builds" current={page === 'builds'}>
            Builds
          </Link>
        </nav>
        <span class="spring" />
        <LinkState />
        {userName.value !== undefined && <span class="user">{userName.value}</span>}
        {isReader.value && <span class="tag">read-only</span>}
        <ThemeButton />
        {key !== undefined && (
          <button type="button" class="plain" onClick={() => signOut('')}>
            Sign out
          </button>
        )}
      </header>
      <main id="main" tabIndex={-1}>
        <Page page={page} id={id} />
      </main>
    </>
  );
}

function Page({ page, id }: { readonly page: string; readonly id: string | undefined }) {
  if (page === 'builds' && id !== undefined) return <BuildPage id={id} />;
  if (page === 'builds') return <BuildsPage />;
  return <FarmPage />;
}

function LinkState() {
  const { state, error } = link.value;
  const words = {
    connecting: isKnown.value ? 'reconnecting' : 'connecting',
    live: 'live',
    waiting: 'the coordinator does not answer; trying again',
    refused: error?.message ?? 'refused',
    ended: 'ended',
  };
  return (
    <span class={`link-state ${state}`} role="status">
      <span class="dot" aria-hidden="true" />
      {words[state]}
    </span>
  );
}

/** `/` goes to the field that narrows down what is shown. */
function takeKey(event: KeyboardEvent): void {
  const { target } = event;
  const isTyping = target instanceof HTMLElement && target.matches('input, select, textarea');
  if (isTyping && event.key === 'Escape') target.blur();
  if (isTyping || event.key !== '/' || event.ctrlKey || event.metaKey) return;
  const field = document.querySelector<HTMLElement>('[data-filter]');
  if (field === null) return;
  event.preventDefault();
  field.focus();
}
