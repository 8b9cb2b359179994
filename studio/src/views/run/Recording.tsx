import { useQuery } from "@tanstack/react-query";
import { familyQuery, overviewQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { callsOf, marksOf } from "../../lib/overview";
import { Command } from "../../ui/Command";
import { Failure } from "../../ui/Failure";
import { Notice } from "../../ui/Notice";
import { Skeleton } from "../../ui/Skeleton";
import { Edits } from "./Edits";
import { Models } from "./Models";
import { Notes } from "./Notes";
import { Parts } from "./Parts";
import { Printed } from "./Printed";

/** What there is of a recorded script, or of a part of one. */
export function Recording({ run }: { run: Run }) {
  const goesOn = run.status === "RUNNING";
  const overview = useQuery(overviewQuery(run.id, goesOn));
  const family = useQuery(familyQuery(run.id, goesOn));
  if (overview.error) return <Failure error={overview.error} what="recording" retry={() => void overview.refetch()} />;
  if (!overview.data || !family.data) return <Skeleton rows={5} what="Loading the recording" />;
  const { models, edits, printed } = overview.data;
  const draft = run.status === "DRAFT";
  return (
    <>
      {draft && <Draft run={run} changes={edits.length} />}
      {edits.length > 0 && <Edits edits={edits} />}
      {models.length > 0 && <Models run={run} models={models} />}
      {callsOf(models) === 0 && !draft && <Empty run={run} />}
      <Parts run={run} family={family.data} marks={marksOf(overview.data.marks)} />
      <Notes run={run} overview={overview.data} parts={family.data.parts} />
      {printed !== null && <Printed run={run} />}
    </>
  );
}

function Draft({ run, changes }: { run: Run; changes: number }) {
  return (
    <section className="card draft" aria-label="This draft">
      <h2>An edited copy that was not run yet</h2>
      <p>
        The recording it was made of stays as it is. When this copy is run, calls are answered from that recording, with{" "}
        {changes === 1 ? "the change below" : "the changes below"}; a call whose request is another one goes to the model.
      </p>
      <Command>{`ao-tool rerun ${run.id.slice(0, 8)}`}</Command>
    </section>
  );
}

function Empty({ run }: { run: Run }) {
  if (run.status === "RUNNING")
    return (
      <Notice title="No LM call yet">
        <p>Each call is here as soon as it is answered.</p>
      </Notice>
    );
  if (run.kind === "subrun")
    return (
      <Notice title="No LM call was recorded">
        <p>This part of the script has called no model.</p>
      </Notice>
    );
  return (
    <Notice title="No LM call was recorded">
      <p>The script may have called no model, or ended before it did{run.reason ? ": what it ended with is said above" : ""}. Otherwise:</p>
      <ul className="reasons">
        <li>
          Calls are seen that Python makes by httpx, httpx2, requests, urllib3, aiohttp or MCP, in the script and in its workers of multiprocessing. Those of
          gRPC clients and of other programs are not; a Python program that the script starts is seen if that runs it by ao-record, too.
        </li>
        <li>
          Any host is good that speaks like OpenAI, Anthropic, Gemini or Ollama. Another API can be taught: <code>ao.dialects.register</code>.
        </li>
        <li>When a host was asked that looks like an LM API, and no call came of it, ao-record says so at the end, on standard error.</li>
      </ul>
      <p className="muted">
        More is in the documentation, <code>docs/recorder/running-a-user-script.md</code>.
      </p>
    </Notice>
  );
}
