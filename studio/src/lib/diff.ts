/** What changed between two texts, word by word: Myers' shortest edit script, bounded. */

export interface Piece {
  kind: "same" | "insert" | "delete";
  text: string;
}

/** Beyond so many edits the middle is shown as replaced: the exact script of texts that share nothing helps nobody. */
const MOST_EDITS = 2000;

/** Words, runs of blanks, line ends and signs, each a token: put together they are the text. */
export function words(text: string): string[] {
  return text.match(/\n|[^\S\n]+|[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]/gu) ?? [];
}

export function wordDiff(before: string, after: string): Piece[] {
  const [a, b] = [words(before), words(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const pieces: Piece[] = [];
  add(pieces, "same", a.slice(0, start));
  for (const piece of middle(a.slice(start, a.length - end), b.slice(start, b.length - end))) add(pieces, piece.kind, [piece.text]);
  add(pieces, "same", a.slice(a.length - end));
  return merged(pieces);
}

export function changedWords(pieces: readonly Piece[]): { inserted: number; deleted: number } {
  const count = (kind: Piece["kind"]) =>
    pieces.filter((p) => p.kind === kind).reduce((n, p) => n + words(p.text).filter((w) => /[\p{L}\p{N}]/u.test(w)).length, 0);
  return { inserted: count("insert"), deleted: count("delete") };
}

function middle(a: readonly string[], b: readonly string[]): Piece[] {
  if (!a.length || !b.length) return replaced(a, b);
  const trace = search(a, b);
  return trace === null ? replaced(a, b) : script(a, b, trace);
}

function replaced(a: readonly string[], b: readonly string[]): Piece[] {
  const pieces: Piece[] = [];
  add(pieces, "delete", a);
  add(pieces, "insert", b);
  return pieces;
}

/** For each number of edits, how far along `a` each diagonal comes; null: too many edits. */
function search(a: readonly string[], b: readonly string[]): Int32Array[] | null {
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const middleOf = most + 1;
  const reach = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    trace.push(reach.slice(middleOf - edits - 1, middleOf + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && at(reach, middleOf + k - 1) < at(reach, middleOf + k + 1));
      let x = down ? at(reach, middleOf + k + 1) : at(reach, middleOf + k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[middleOf + k] = x;
      if (x >= a.length && x - k >= b.length) return trace;
    }
  }
  return null;
}

/** The way back through the trace, put the right way round. */
function script(a: readonly string[], b: readonly string[], trace: readonly Int32Array[]): Piece[] {
  const back: Piece[] = [];
  let [x, y] = [a.length, b.length];
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const reach = trace[edits] as Int32Array;
    const middleOf = edits + 1;
    const k = x - y;
    const down = k === -edits || (k !== edits && at(reach, middleOf + k - 1) < at(reach, middleOf + k + 1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = edits === 0 ? 0 : at(reach, middleOf + fromK);
    const fromY = edits === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) {
      back.push({ kind: "same", text: a[--x] as string });
      y--;
    }
    if (edits === 0) break;
    if (down) back.push({ kind: "insert", text: b[--y] as string });
    else back.push({ kind: "delete", text: a[--x] as string });
  }
  return back.reverse();
}

function at(reach: Int32Array, index: number): number {
  return reach[index] as number;
}

function add(pieces: Piece[], kind: Piece["kind"], tokens: readonly string[]): void {
  if (tokens.length) pieces.push({ kind, text: tokens.join("") });
}

/** Neighbours of one kind become one; between changes, deletions come first; blanks alone do not break up a change. */
function merged(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  let [deleted, inserted] = ["", ""];
  const flush = () => {
    if (deleted) out.push({ kind: "delete", text: deleted });
    if (inserted) out.push({ kind: "insert", text: inserted });
    [deleted, inserted] = ["", ""];
  };
  pieces.forEach((piece, index) => {
    if (piece.kind === "delete") deleted += piece.text;
    else if (piece.kind === "insert") inserted += piece.text;
    else if (deleted && inserted && /^[^\S\n]+$/.test(piece.text) && pieces[index + 1] && pieces[index + 1]?.kind !== "same") {
      deleted += piece.text;
      inserted += piece.text;
    } else {
      flush();
      const last = out.at(-1);
      if (last?.kind === "same") last.text += piece.text;
      else out.push({ ...piece });
    }
  });
  flush();
  return out.map((_, i) => i).reduce(slid, out).filter(({ text }) => text !== "");
}

/** What was put in or taken out of a run of equal words can begin at several places: best at a line, then at a word. */
function slid(pieces: Piece[], at: number): Piece[] {
  const [before, edit, after] = [pieces[at - 1], pieces[at], pieces[at + 1]];
  if (!edit || edit.kind === "same" || before?.kind !== "same" || after?.kind !== "same") return pieces;
  const [left, middleOf, right] = [words(before.text), words(edit.text), words(after.text)];
  const whole = [...left, ...middleOf, ...right];
  let [from, to] = [left.length, left.length + middleOf.length];
  // Equal words between two changes stay between them.
  const [first, last] = [at === 1 ? 0 : 1, at === pieces.length - 2 ? whole.length : whole.length - 1];
  while (from > first && whole[from - 1] === whole[to - 1]) [from, to] = [from - 1, to - 1];
  let best = { from: left.length, to: left.length + middleOf.length };
  for (;;) {
    if (fit(whole, from, to) > fit(whole, best.from, best.to)) best = { from, to };
    if (to >= last || whole[from] !== whole[to]) break;
    [from, to] = [from + 1, to + 1];
  }
  before.text = whole.slice(0, best.from).join("");
  edit.text = whole.slice(best.from, best.to).join("");
  after.text = whole.slice(best.to).join("");
  return pieces;
}

function fit(whole: readonly string[], from: number, to: number): number {
  if (whole[from - 1] === "\n" && whole[to - 1] === "\n") return 4;
  if (whole[from] === "\n" && (to === whole.length || whole[to] === "\n")) return 3;
  if (whole[from] === "\n" || whole[to - 1] === "\n") return 2;
  return /\s/.test(whole[to - 1] ?? "") || /\s/.test(whole[from] ?? "") ? 1 : 0;
}
