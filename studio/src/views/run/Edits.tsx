import type { ShownEdit } from "../../api/types";
import { wordDiff } from "../../lib/diff";
import { asText, tail } from "../../lib/overview";
import { Diff } from "./Diff";

/** What was changed of the recording's calls, before and after. */
export function Edits({ edits }: { edits: readonly ShownEdit[] }) {
  return (
    <section className="card edits" aria-label="Edits">
      <h2>
        Edits <span className="muted">{edits.length}</span>
      </h2>
      <ol>
        {edits.map((edit, i) => (
          <li key={i}>
            <p className="edit-head">
              <strong>{edit.label ?? "call"}</strong> <span className="tag">{edit.field === "input" ? "request" : "answer"}</span>{" "}
              <code>{edit.path || "all of it"}</code>
              {edit.location && <span className="muted"> {tail(edit.location)}</span>}
            </p>
            {edit.removed ? <pre className="text diff">{edit.before === null ? "removed" : <del>{asText(edit.before)}</del>}</pre> : <Change edit={edit} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Change({ edit }: { edit: ShownEdit }) {
  const after = asText(edit.value);
  if (edit.before === null || edit.before === undefined)
    return (
      <pre className="text diff">
        <ins>{after}</ins>
      </pre>
    );
  return <Diff pieces={wordDiff(asText(edit.before), after)} />;
}
