/** Puts a text on the clipboard, and says so. */
import { useState } from 'preact/hooks';

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      class="plain copy"
      aria-label={copied ? 'Copied' : `Copy ${what}`}
      title={copied ? 'Copied' : `Copy ${what}`}
      onClick={() => {
        void copy(text).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 1500);
        });
      }}
    >
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
        {copied ? (
          <path d="M3.5 8.5 6.5 11.5 12.5 4.5" />
        ) : (
          <path d="M5.5 5.5 H13 V13.5 H5.5 Z M10.5 5.5 V2.5 H3 V10.5 H5.5" />
        )}
      </svg>
    </button>
  );
}

/** Over plain http browsers have no clipboard of the modern kind. */
async function copy(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'unseen';
  document.body.append(area);
  area.select();
  // oxlint-disable-next-line typescript/no-deprecated -- there is nothing else here
  document.execCommand('copy');
  area.remove();
  return undefined;
}
