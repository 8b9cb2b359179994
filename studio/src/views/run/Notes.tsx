import type { Overview, Relative, Run } from "../../api/types";
import { asText } from "../../lib/overview";
import { group } from "../../lib/format";
import { runPath } from "../../lib/route";
import { Icon } from "../../ui/Icon";
import { Link } from "../../ui/Link";

interface Props {
  run: Run;
  overview: Overview;
  parts: readonly Relative[];
}

/** What the script noted by ao.log, the latest first. */
export function Notes({ run, overview, parts }: Props) {
  const { notes, noted, marks } = overview;
  if (notes.length === 0) return null;
  const slugs = new Map(parts.map((part) => [part.id, part.slug]));
  const passed = marks.reduce((sum, each) => sum + each.passed, 0);
  const failed = marks.reduce((sum, each) => sum + each.failed, 0);
  return (
    <section className="card notes" aria-label="Notes">
      <div className="card-head">
        <h2>
          Notes <span className="muted">{group(noted)}</span>
        </h2>
        {passed + failed > 0 && (
          <span>
            {group(passed)} passed, {group(failed)} failed
          </span>
        )}
      </div>
      <ol className="note-rows" tabIndex={0} aria-label="List of notes">
        {notes.toReversed().map((note) => {
          const slug = slugs.get(note.run);
          return (
            <li key={note.key}>
              <Mark success={note.success} />
              <pre className="text">{asText(note.entry)}</pre>
              {slug !== undefined && <Link to={runPath(run.namespace_slug, run.project_slug, slug)}>{note.name}</Link>}
            </li>
          );
        })}
      </ol>
      {noted > notes.length && <p className="muted">These are the latest {group(notes.length)}.</p>}
    </section>
  );
}

function Mark({ success }: { success: boolean | null }) {
  if (success === null) return <span className="mark" />;
  return (
    <span className={success ? "mark passed" : "mark failed"}>
      <Icon name={success ? "check" : "cross"} />
      <span className="sr">{success ? "passed" : "failed"}</span>
    </span>
  );
}
