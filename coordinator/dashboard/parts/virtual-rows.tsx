/** A table of any length: of its rows, those in sight are in the document. All are of one height. */
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface Column {
  readonly name: string;
  /** For the style sheet. */
  readonly class: string;
}

export interface VirtualRowsProps<Item> {
  readonly label: string;
  readonly columns: readonly Column[];
  readonly items: readonly Item[];
  readonly rowHeight: number;
  readonly keyOf: (item: Item) => string;
  /** The cells, one for each column. */
  readonly row: (item: Item) => readonly ComponentChildren[];
  readonly empty: ComponentChildren;
  /** Called when the last rows come into sight. */
  readonly nearEnd?: (() => void) | undefined;
  /** In place of the number of items, where more may come. */
  readonly total?: number;
  readonly class?: string;
}

/** Rows above and below those in sight. */
const margin = 8;

export function VirtualRows<Item>(props: VirtualRowsProps<Item>) {
  const { label, columns, items, rowHeight, keyOf, row, empty, nearEnd, total = items.length } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const [focused, setFocused] = useState(-1);

  const measure = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const { scrollTop: top, clientHeight: height } = element;
    setView((before) => (before.top === top && before.height === height ? before : { top, height }));
  };
  useLayoutEffect(() => {
    measure();
    if (scroller.current === null) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(scroller.current);
    return () => observer.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(view.top / rowHeight) - margin);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / rowHeight) + margin);
  useLayoutEffect(() => {
    if (last >= items.length) nearEnd?.();
  }, [last, items.length]);
  const shown = Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
  // What has the focus stays, wherever it was scrolled to.
  if (focused >= 0 && focused < items.length && !shown.includes(focused)) shown.push(focused);

  const move = (event: KeyboardEvent): void => {
    const element = scroller.current;
    if (element === null) return;
    const isWithin = focused >= 0;
    // Other keys scroll the table that has the focus itself, as they do everywhere.
    if (!isWithin && (event.target !== element || !/^Arrow(Down|Up)$/.test(event.key))) return;
    const inSight = [view.top / rowHeight, (view.top + view.height) / rowHeight];
    const at = isWithin
      ? focused
      : event.key === 'ArrowDown'
        ? Math.ceil(inSight[0] ?? 0) - 1
        : Math.floor(inSight[1] ?? 0);
    const key = steps(event.key, { at, last: items.length - 1, page: Math.floor(view.height / rowHeight) });
    const step = key === undefined ? undefined : nearest(element, event.key, { at, step: key });
    if (step === undefined) return;
    event.preventDefault();
    setFocused(step);
    const top = step * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = top + rowHeight - element.clientHeight;
    requestAnimationFrame(() => {
      const next = element.querySelector<HTMLElement>(`[data-row="${step}"] ${pressable}`) ?? element;
      next.focus({ preventScroll: true });
    });
  };

  return (
    <div
      class={`table ${props.class ?? ''}`}
      role="table"
      aria-label={label}
      aria-rowcount={total + 1}
      aria-colcount={columns.length}
    >
      <div class="head" role="rowgroup">
        <div class="row" role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <div key={column.class} class={`cell ${column.class}`} role="columnheader">
              {column.name}
            </div>
          ))}
        </div>
      </div>
      <div class="scroller" role="rowgroup" tabIndex={0} ref={scroller} onScroll={measure} onKeyDown={move}>
        {items.length === 0 ? (
          <div class="row empty" role="row">
            <div class="cell" role="cell" aria-colspan={columns.length}>
              {empty}
            </div>
          </div>
        ) : (
          <div class="rows" role="presentation" style={{ height: `${items.length * rowHeight}px` }}>
            {shown.map((index) => {
              const item = items[index];
              if (item === undefined) return null;
              return (
                <div
                  key={keyOf(item)}
                  class="row"
                  role="row"
                  aria-rowindex={index + 2}
                  data-row={index}
                  style={{ transform: `translateY(${index * rowHeight}px)`, height: `${rowHeight}px` }}
                  onFocusIn={() => setFocused(index)}
                  onFocusOut={() => setFocused(-1)}
                >
                  {row(item).map((cell, at) => (
                    <div key={columns[at]?.class} class={`cell ${columns[at]?.class ?? ''}`} role="cell">
                      {cell}
                    </div>
                  ))}
                </div>
              );
            })}
          </div>
        )}
      </div>
    </div>
  );
}

const pressable = ':is(a, button)';

/** By arrow keys one comes only to rows with something to press; where none is near, undefined: they scroll. */
function nearest(
  scroller: HTMLElement,
  key: string,
  { at, step }: { at: number; step: number },
): number | undefined {
  if (!key.startsWith('Arrow')) return step;
  const rows = [...scroller.querySelectorAll(`[data-row] ${pressable}`)]
    .map((each) => Number(each.closest<HTMLElement>('[data-row]')?.dataset['row']))
    .filter((row) => (key === 'ArrowDown' ? row > at : row < at));
  if (rows.length === 0) return undefined;
  return key === 'ArrowDown' ? Math.min(...rows) : Math.max(...rows);
}

/** Where a key leads to; undefined for keys that lead nowhere. */
function steps(
  key: string,
  { at, last, page }: { at: number; last: number; page: number },
): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return Math.min(last, at + 1);
    case 'ArrowUp':
      return Math.max(0, at - 1);
    case 'PageDown':
      return Math.min(last, at + page);
    case 'PageUp':
      return Math.max(0, at - page);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}
