/** Asks for a token. It stays in this tab. */
import { useEffect, useRef } from 'preact/hooks';
import { refused, signIn } from './api/session.ts';

export function SignIn() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="sign-in" id="main">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          const token = field.current?.value.trim() ?? '';
          if (token !== '') signIn(token);
        }}
      >
        <h1>archfarm</h1>
        <p>This coordinator wants to know who you are.</p>
        <label for="token">Token</label>
        <input id="token" ref={field} type="password" autocomplete="off" required spellcheck={false} />
        {refused.value !== '' && (
          <p class="notice bad" role="alert">
            {refused.value}
          </p>
        )}
        <button type="submit" class="primary">
          Sign in
        </button>
        <p class="hint">
          It is what <code>ARCHFARM_TOKEN</code> or <code>--token-file</code> give to the commands. This tab
          keeps it until it is closed, and sends it to this coordinator alone.
        </p>
        <p class="hint">
          With a certificate of yours that the coordinator knows (
          <code>archfarm users add --certificate</code>) no token is needed: have this browser import it with
          its key, and open this page anew.
        </p>
      </form>
    </main>
  );
}
