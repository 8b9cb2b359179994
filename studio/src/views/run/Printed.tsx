import { useQuery } from "@tanstack/react-query";
import { outputQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { group } from "../../lib/format";
import { Failure } from "../../ui/Failure";
import { Skeleton } from "../../ui/Skeleton";

/** What a script has printed that the server has started. */
export function Printed({ run }: { run: Run }) {
  const { data, error, refetch } = useQuery(outputQuery(run.id, run.status === "RUNNING"));
  return (
    <section className="card printed" aria-label="Output">
      <h2>Output</h2>
      {data ? (
        <>
          {data.left_out > 0 && (
            <p className="muted">
              The end of it; {group(data.left_out)} bytes are before that. All that is kept: <code>ao-tool output {run.id.slice(0, 8)}</code>
            </p>
          )}
          <pre className="text" tabIndex={0} aria-label="What the script printed">
            {data.text || "It has printed nothing."}
          </pre>
        </>
      ) : error ? (
        <Failure error={error} what="output" retry={() => void refetch()} />
      ) : (
        <Skeleton rows={3} what="Loading the output" />
      )}
    </section>
  );
}
