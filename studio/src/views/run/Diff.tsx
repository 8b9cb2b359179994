import type { Piece } from "../../lib/diff";

/** What changed, word by word: underlined is new, struck through is gone.  Colour only helps. */
export function Diff({ pieces }: { pieces: readonly Piece[] }) {
  if (pieces.every(({ kind }) => kind === "same")) return <p className="same">The same text.</p>;
  return (
    <pre className="text diff">
      {pieces.map(({ kind, text }, i) =>
        kind === "same" ? (
          text
        ) : kind === "insert" ? (
          <ins key={i}>{text}</ins>
        ) : (
          <del key={i}>{text}</del>
        ),
      )}
    </pre>
  );
}
