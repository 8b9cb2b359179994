import type { Run } from "../api/types";

const WORDS: Record<Run["kind"], string | null> = { run: null, recording: "recording", subrun: "part", rerun: "rerun" };

/** What a Run is, where it is not one of te.init. */
export function KindTag({ kind }: { kind: Run["kind"] }) {
  const word = WORDS[kind];
  return word && <span className="tag">{word}</span>;
}
