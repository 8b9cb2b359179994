import type { Run } from "../api/types";
import { useNow } from "../lib/clock";
import { ago, clock, duration, moment, NOTHING } from "../lib/format";

/** How long ago; on pointing at it, when exactly. */
export function Ago({ time }: { time: number }) {
  const now = useNow();
  return (
    <time dateTime={new Date(time * 1000).toISOString()} title={moment(time)}>
      {ago(time, now)}
    </time>
  );
}

/** How long a Run took, or how long it has been going on; a draft was not begun. */
export function Lasted({ run }: { run: Pick<Run, "status" | "created" | "ended"> }) {
  return run.status === "DRAFT" ? NOTHING : <Elapsed from={run.created} to={run.ended} />;
}

/** How long it took, or how long it has been going on. */
export function Elapsed({ from, to }: { from: number; to: number | null }) {
  const now = useNow(to === null);
  return <>{to === null ? clock(Math.max(0, now - from)) : duration(to - from)}</>;
}
