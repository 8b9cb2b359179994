import { useQuery } from "@tanstack/react-query";
import { metricsQuery } from "../../api/queries";
import type { MetricName, Run } from "../../api/types";
import { Chart } from "../../charts/Chart";
import type { Axis } from "../../lib/buckets";
import { useParams } from "../../lib/location";
import { Failure } from "../../ui/Failure";
import { Notice } from "../../ui/Notice";
import { Segmented } from "../../ui/Segmented";
import { Skeleton } from "../../ui/Skeleton";
import { Command } from "../../ui/Command";
import { About } from "./About";
import { Recording } from "./Recording";

export function Overview({ run }: { run: Run }) {
  const metrics = useQuery(metricsQuery(run.id));
  return (
    <div className="overview">
      <section className="overview-main" aria-label={run.kind === "run" ? "Metrics" : "What was recorded"}>
        {run.kind !== "run" && <Recording run={run} />}
        {metrics.data ? (
          <Metrics run={run} metrics={metrics.data} />
        ) : metrics.error ? (
          <Failure error={metrics.error} what="list of metrics" retry={() => void metrics.refetch()} />
        ) : (
          <Skeleton rows={5} what="Loading the metrics" />
        )}
      </section>
      <About run={run} />
    </div>
  );
}

const MANY = 8;

function Metrics({ run, metrics }: { run: Run; metrics: readonly MetricName[] }) {
  const [params, change] = useParams();
  const smoothing = Math.min(0.99, Math.max(0, Number(params.get("smooth") ?? 0) || 0));
  const axis: Axis = params.get("x") === "time" ? "time" : "step";
  const log = params.get("y") === "log";
  const only = params.get("metric") ?? "";
  if (!metrics.length && run.kind !== "run") return null;
  if (!metrics.length)
    return (
      <Notice title={run.status === "RUNNING" ? "Nothing was logged yet" : "Nothing was logged"}>
        <p>Numbers that are logged are charts here, as they come:</p>
        <Command>{`run.log("score", 0.5, step=1)`}</Command>
      </Notice>
    );
  const shown = metrics.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  return (
    <>
      <div className="toolbar chart-tools">
        <label className="slider">
          <span>Smoothing</span>
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={smoothing}
            onChange={(event) => change({ smooth: event.target.value === "0" ? null : event.target.value })}
          />
          <output>{smoothing ? smoothing.toFixed(2) : "off"}</output>
        </label>
        <Segmented label="Horizontal axis" options={AXES} value={axis} onChange={(x) => change({ x: x === "step" ? null : x })} />
        <Segmented label="Vertical axis" options={SCALES} value={log ? "log" : "linear"} onChange={(y) => change({ y: y === "log" ? y : null })} />
        {metrics.length > MANY && (
          <input
            type="search"
            className="metric-filter"
            aria-label="Show only metrics named"
            placeholder={`Filter ${metrics.length} metrics`}
            value={only}
            onChange={(event) => change({ metric: event.target.value })}
          />
        )}
      </div>
      <div className="charts">
        {ordered(shown).map((metric) => (
          <Chart key={metric.name} runId={run.id} metric={metric} look={{ axis, log, smoothing }} origin={run.created} />
        ))}
      </div>
      <p className="muted chart-help">Drag to zoom, double-click for the whole; after a click the wheel zooms too.</p>
    </>
  );
}

const AXES = [
  ["step", "Step"],
  ["time", "Time"],
] as const;
const SCALES = [
  ["linear", "Linear"],
  ["log", "Log"],
] as const;

/** By name; the count of unpriced calls, which is no result, last. */
function ordered(metrics: readonly MetricName[]): MetricName[] {
  const last = ({ name }: MetricName) => Number(name === "unpriced_calls");
  return [...metrics].sort((a, b) => last(a) - last(b));
}
