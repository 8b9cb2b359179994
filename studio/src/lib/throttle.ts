export interface Throttled {
  (): void;
  cancel(): void;
}

/** At once, then at most once in so many milliseconds; the last call is never lost. */
export function throttled(work: () => void, milliseconds: number): Throttled {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wanted = false;
  const begin = () => {
    work();
    timer = setTimeout(() => {
      timer = undefined;
      if (wanted) {
        wanted = false;
        begin();
      }
    }, milliseconds);
  };
  const call = () => {
    if (timer === undefined) begin();
    else wanted = true;
  };
  return Object.assign(call, {
    cancel() {
      clearTimeout(timer);
      timer = undefined;
      wanted = false;
    },
  });
}
