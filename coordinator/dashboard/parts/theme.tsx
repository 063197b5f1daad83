/** Light or dark: as the system has it, until somebody says otherwise. */
import { signal } from '@preact/signals';

type Theme = 'light' | 'dark';

const key = 'archfarm.theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const chosen = signal<Theme | undefined>(read());
const systemTheme = signal<Theme>(system.matches ? 'dark' : 'light');

system.addEventListener('change', ({ matches }) => {
  systemTheme.value = matches ? 'dark' : 'light';
});

function read(): Theme | undefined {
  const stored = localStorage.getItem(key);
  return stored === 'light' || stored === 'dark' ? stored : undefined;
}

chosen.subscribe((theme) => {
  if (theme === undefined) delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
});

export function ThemeButton() {
  const shown = chosen.value ?? systemTheme.value;
  const other = shown === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="plain square"
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
      onClick={() => {
        // What the system says anyway needs no remembering.
        if (other === systemTheme.value) localStorage.removeItem(key);
        else localStorage.setItem(key, other);
        chosen.value = other === systemTheme.value ? undefined : other;
      }}
    >
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
        {shown === 'dark' ? (
          <path d="M8 1.5 V3 M8 13 V14.5 M1.5 8 H3 M13 8 H14.5 M3.4 3.4 4.4 4.4 M11.6 11.6 12.6 12.6 M3.4 12.6 4.4 11.6 M11.6 4.4 12.6 3.4 M11 8 A3 3 0 1 1 5 8 A3 3 0 1 1 11 8" />
        ) : (
          <path d="M13 9.5 A5.5 5.5 0 1 1 6.5 3 A4.5 4.5 0 0 0 13 9.5 Z" />
        )}
      </svg>
    </button>
  );
}
