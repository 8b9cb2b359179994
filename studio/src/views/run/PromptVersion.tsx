import { useMemo } from "react";
import type { Prompt, Run } from "../../api/types";
import { changedWords, wordDiff } from "../../lib/diff";
import { plural } from "../../lib/format";
import { baseOf, textOf } from "../../lib/prompts";
import { Icon } from "../../ui/Icon";
import { Segmented } from "../../ui/Segmented";
import { Ago } from "../../ui/Times";
import { Diff } from "./Diff";
import { Gradients } from "./Gradients";
import { Score, Verdict } from "./Verdict";

interface Props {
  run: Run;
  version: Prompt;
  versions: readonly Prompt[];
  against: string | null;
  mode: "diff" | "text";
  onAgainst: (version: string | null) => void;
  onMode: (mode: "diff" | "text") => void;
}

const MODES = [
  ["diff", "Changes"],
  ["text", "Text"],
] as const;

/** One version: what it says, what changed, why, and what became of it. */
export function PromptVersion({ version, versions, against, mode, onAgainst, onMode }: Props) {
  const usual = baseOf(versions, version);
  const base = versions.find((each) => String(each.version) === against && each !== version) ?? usual;
  const text = textOf(version.value);
  const baseText = base ? textOf(base.value) : "";
  const pieces = useMemo(() => wordDiff(baseText, text), [baseText, text]);
  const { inserted, deleted } = useMemo(() => changedWords(pieces), [pieces]);
  const showDiff = mode === "diff" && base !== null;
  return (
    <article className="prompt" aria-label={`${version.parameter}, version ${version.version}`}>
      <header className="prompt-head">
        <h2>
          {version.parameter} <span className="muted">v{version.version}</span>
        </h2>
        <Verdict status={version.status} />
        <Score before={version.score_before} after={version.score_after} />
        <span className="muted prompt-when">
          {version.step !== null && <>step {version.step} · </>}
          <Ago time={version.time} />
        </span>
      </header>
      {version.role && version.role !== version.parameter && <p className="muted">{version.role}</p>}
      <div className="prompt-body">
        <section className="card" aria-label="The prompt">
          <div className="card-tools">
            {base && <Segmented label="Show" options={MODES} value={mode} onChange={onMode} />}
            {showDiff && (
              <label className="against">
                <span>against</span>
                <select value={base.version} onChange={(event) => onAgainst(event.target.value === String(usual?.version) ? null : event.target.value)}>
                  {versions
                    .filter((each) => each !== version)
                    .map((each) => (
                      <option key={each.key} value={each.version}>
                        v{each.version} {each.status === "kept" ? "accepted" : each.status}
                        {each === usual ? " (before it)" : ""}
                      </option>
                    ))}
                </select>
              </label>
            )}
            {showDiff && (
              <span className="muted changes">
                <span className="plus">+{plural(inserted, "word")}</span> <span className="minus">−{plural(deleted, "word")}</span>
              </span>
            )}
          </div>
          {showDiff ? <Diff pieces={pieces} /> : <pre className="text">{text || "(empty)"}</pre>}
        </section>
        <Gradients gradients={version.gradients} reasoning={version.reasoning} initial={version.status === "initial"} />
      </div>
      {version.status === "undone" && (
        <p className="undone-note">
          <Icon name="undo" /> The score fell, so training went on with v{usual?.version ?? 0}.
        </p>
      )}
    </article>
  );
}
