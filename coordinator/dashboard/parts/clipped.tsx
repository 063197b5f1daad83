/** A list in one line that may have more than there is room for: then whoever points at it or comes to it by keys sees it whole. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface ClippedProps {
  /** All of the list, for pointers. */
  readonly texts: readonly string[];
  readonly class: string;
  readonly children: ComponentChildren;
}

export function Clipped({ texts, class: own, children }: ClippedProps) {
  const box = useRef<HTMLSpanElement>(null);
  const [isClipped, setClipped] = useState(false);
  const whole = texts.join('\n');
  useLayoutEffect(() => {
    const element = box.current;
    const list = element?.firstElementChild;
    if (element === null || list == null) return undefined;
    const measure = (): void => {
      // What is shown whole has room, and would be let go of at once.
      if (!element.matches(':focus, :hover')) setClipped(list.scrollWidth > list.clientWidth);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [whole]);
  return (
    <span
      ref={box}
      class={isClipped ? 'list clipped' : 'list'}
      title={whole}
      {...(isClipped && { role: 'group', 'aria-label': texts.join(', '), tabIndex: 0 })}
    >
      <span class={own}>{children}</span>
    </span>
  );
}
