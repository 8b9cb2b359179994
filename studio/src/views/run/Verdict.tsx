import type { Prompt } from "../../api/types";
import { change, type MetricValue, number } from "../../lib/format";
import { Icon, type IconName } from "../../ui/Icon";

const WORDS: Record<Prompt["status"], { word: string; icon: IconName | null; title: string }> = {
  initial: { word: "initial", icon: null, title: "What training began with" },
  proposed: { word: "proposed", icon: null, title: "Taken over without a trial, or its trial is not over yet" },
  kept: { word: "accepted", icon: "check", title: "Tried on its own samples, and kept" },
  undone: { word: "undone", icon: "undo", title: "Tried on its own samples, worse than before, and taken back" },
};

/** What became of a version. */
export function Verdict({ status }: { status: Prompt["status"] }) {
  const { word, icon, title } = WORDS[status];
  return (
    <span className={`verdict verdict-${status}`} title={title}>
      {icon && <Icon name={icon} />}
      {word}
    </span>
  );
}

/** The score before and after. */
export function Score({ before, after }: { before: Prompt["score_before"]; after: Prompt["score_after"] }) {
  if (before === null && after === null) return null;
  const by = change(before as MetricValue | null, after as MetricValue | null);
  const way = by?.startsWith("+") ? "up" : by?.startsWith("−") ? "down" : "same";
  return (
    <span className="score">
      <span className="sr">score from </span>
      {rounded(before as MetricValue | null)}
      <span aria-hidden="true"> → </span>
      <span className="sr"> to </span>
      {rounded(after as MetricValue | null)}
      {by && <span className={`by by-${way}`}> {by}</span>}
    </span>
  );
}

/** Scores are means of a few samples: more digits than four say nothing. */
function rounded(score: MetricValue | null): string {
  return number(typeof score === "number" ? Number(score.toPrecision(4)) : score);
}
