import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { metricQuery } from "../api/queries";
import type { MetricName } from "../api/types";
import { columns, EMPTY, hasSteps } from "../lib/buckets";
import { duration, type MetricValue, number, plural } from "../lib/format";
import { useStore } from "../lib/store";
import { paint } from "../lib/theme";
import { Icon } from "../ui/Icon";
import { type Look, Plot, type Reading } from "./plot";

interface Props {
  runId: string;
  metric: MetricName;
  look: Look;
  /** When the Run began: time counts from there. */
  origin: number;
}

/** A metric's course, as it goes on. */
export function Chart({ runId, metric, look: wanted, origin }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const seen = useSeen(place);
  const painted = useStore(paint);
  const client = useQueryClient();
  const { data = EMPTY, error } = useQuery({ ...metricQuery(client, runId, metric.name), enabled: seen });
  const [reading, setReading] = useState<Reading | null>(null);
  const [zoomed, setZoomed] = useState(false);

  const stepless = data.points > 0 && !hasSteps(data);
  const look = useMemo<Look>(() => ({ ...wanted }), [wanted.axis, wanted.log, wanted.smoothing]);
  const drawn = useMemo(() => columns(data, look.axis, origin), [data, look.axis, origin]);
  const latest = useRef({ drawn, look });
  latest.current = { drawn, look };

  const empty = data.points === 0;
  useEffect(() => {
    if (!place.current || empty) return;
    const made = new Plot(place.current, latest.current.drawn, latest.current.look, runId + look.axis, {
      reading: setReading,
      zoomed: setZoomed,
    });
    plot.current = made;
    const watch = new ResizeObserver(() => made.resize());
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [runId, look.axis, look.log, painted, empty]);
  useEffect(() => plot.current?.show(drawn, look), [drawn, look]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowRight: () => plot.current?.step(1),
      ArrowLeft: () => plot.current?.step(-1),
      "+": () => plot.current?.zoom(0.8),
      "-": () => plot.current?.zoom(1.25),
      "0": () => plot.current?.reset(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  return (
    <figure className="card chart" data-metric={metric.name} data-points={data.points}>
      <figcaption>
        <span className="chart-name" title={metric.name}>
          {metric.name}
        </span>
        {zoomed && (
          <button type="button" className="quiet" onClick={() => plot.current?.reset()}>
            <Icon name="zoom" /> Whole
          </button>
        )}
        <span className="chart-value">{reading ? <At reading={reading} look={look} stepless={stepless} /> : <Last metric={metric} />}</span>
      </figcaption>
      <div
        ref={place}
        className="plot"
        tabIndex={0}
        role="img"
        aria-label={summary(metric)}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => event.currentTarget.focus({ preventScroll: true })}
      >
        {error && empty ? <p className="plot-note">This metric could not be read.</p> : null}
      </div>
    </figure>
  );
}

function Last({ metric }: { metric: MetricName }) {
  return (
    <>
      <span className="muted">{plural(metric.count, "point")}</span> <strong>{number(metric.last as MetricValue)}</strong>
    </>
  );
}

function At({ reading: { x, value, smooth }, look, stepless }: { reading: Reading; look: Look; stepless: boolean }) {
  const where = look.axis === "time" ? duration(x) : `${stepless ? "point" : "step"} ${number(x)}`;
  return (
    <>
      <span className="muted">{where}</span> {smooth !== null && <span className="muted">smoothed {number(smooth)}</span>}{" "}
      <strong>{value === null ? "not finite" : number(value)}</strong>
    </>
  );
}

function summary({ name, count, last, min, max }: MetricName): string {
  const range = min === null ? "" : `, from ${number(min as MetricValue)} to ${number(max as MetricValue)}`;
  return `${name}: ${plural(count, "point")}${range}, last ${number(last as MetricValue)}. Arrow keys read points, plus and minus zoom.`;
}

/** Whether it was in sight once: charts far below are not read before. */
function useSeen(place: React.RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (seen || !place.current) return;
    const watch = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setSeen(true);
      },
      { rootMargin: "400px" },
    );
    watch.observe(place.current);
    return () => watch.disconnect();
  }, [seen, place]);
  return seen;
}
