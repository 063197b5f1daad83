/** Whether the window is narrow: tables become cards there. */
import { signal } from '@preact/signals';

const narrowWindow = matchMedia('(max-width: 760px)');

export const isNarrow = signal(narrowWindow.matches);

narrowWindow.addEventListener('change', ({ matches }) => {
  isNarrow.value = matches;
});
