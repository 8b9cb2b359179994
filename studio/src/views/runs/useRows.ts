import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from "react";

interface Options {
  count: number;
  height: number;
  /** The rows at the end come into sight. */
  more: () => void;
}

const PAGE = 10;

/** Many rows, of which only those in sight are there; arrows lead from one row's link to the next. */
export function useRows({ count, height, more }: Options) {
  const scroller = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const wanted = useRef<number | null>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 10,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (count && last >= count - 40) more();
  }, [count, last, more]);
  useLayoutEffect(() => {
    if (wanted.current === null) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"] [data-row-link]`);
    if (row) {
      wanted.current = null;
      row.focus({ preventScroll: true });
    }
  });
  const lead = (to: number) => {
    const index = Math.min(Math.max(0, to), count - 1);
    wanted.current = index;
    setActive(index);
    virtual.scrollToIndex(index);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: count - 1, PageDown: active + PAGE, PageUp: active - PAGE }[
      event.key
    ];
    if (to === undefined) return;
    event.preventDefault();
    lead(to);
  };
  const shown = items.some(({ index }) => index === active) ? active : (items[0]?.index ?? 0);
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return { scroller, items, before, after, onKeyDown, setActive, tabStop: shown, total: virtual.getTotalSize() };
}
