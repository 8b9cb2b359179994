import { describe, expect, it } from "vitest";
import { changedWords, type Piece, wordDiff, words } from "./diff";

const before = (pieces: Piece[]) => pieces.filter((p) => p.kind !== "insert").map((p) => p.text).join("");
const after = (pieces: Piece[]) => pieces.filter((p) => p.kind !== "delete").map((p) => p.text).join("");

/** The same draws each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

describe("words", () => {
  it("put together are the text", () => {
    for (const text of ["", "a b", " a\n\n b,c. ", "naïve – ünï 日本語 👍🏽\t x", "<b>&amp;</b>"]) expect(words(text).join("")).toBe(text);
  });
});

describe("word diff", () => {
  it("of a text with itself is the text", () => expect(wordDiff("a b", "a b")).toEqual([{ kind: "same", text: "a b" }]));
  it("of nothing is nothing", () => expect(wordDiff("", "")).toEqual([]));
  it("shows what was put in, taken out, replaced", () => {
    expect(wordDiff("be brief", "be very brief")).toEqual([
      { kind: "same", text: "be " }, { kind: "insert", text: "very " }, { kind: "same", text: "brief" },
    ]);
    expect(wordDiff("one two three", "one three").map((p) => p.kind)).toEqual(["same", "delete", "same"]);
    expect(wordDiff("a cat sat", "a dog sat")).toEqual([
      { kind: "same", text: "a " }, { kind: "delete", text: "cat" }, { kind: "insert", text: "dog" }, { kind: "same", text: " sat" },
    ]);
  });
  it("shows a run of replaced words as one change", () => {
    const pieces = wordDiff("say the old thing now", "say a new word now");
    expect(pieces.map((p) => p.kind)).toEqual(["same", "delete", "insert", "same"]);
  });
  it("takes whole lines where it can", () => {
    expect(wordDiff("- a.\n- b.", "- a.\n- b.\n- c.").at(-1)).toEqual({ kind: "insert", text: "\n- c." });
    expect(wordDiff("- a.\n- c.", "- a.\n- b.\n- c.").find((p) => p.kind === "insert")?.text).toMatch(/^\n- b\.$|^- b\.\n$/);
  });
  it("holds both texts whole, whatever they are", () => {
    const draw = random(7);
    const some = () => Array.from({ length: Math.floor(draw() * 40) }, () => "abcde \n,."[Math.floor(draw() * 9)]).join("");
    for (let i = 0; i < 500; i++) {
      const [a, b] = [some(), some()];
      const pieces = wordDiff(a, b);
      expect(before(pieces)).toBe(a);
      expect(after(pieces)).toBe(b);
      for (let j = 1; j < pieces.length; j++) expect(pieces[j]?.kind).not.toBe(pieces[j - 1]?.kind);
    }
  });
  it("is the shortest there is", () => {
    const pieces = wordDiff("a b c a b b a".replaceAll(" ", "\n"), "c b a b a c".replaceAll(" ", "\n"));
    const { inserted, deleted } = changedWords(pieces);
    expect(inserted + deleted).toBeLessThanOrEqual(5);
  });
  it("ends on long texts that share nothing", () => {
    const [a, b] = [Array.from({ length: 20_000 }, (_, i) => `a${i}`).join(" "), Array.from({ length: 20_000 }, (_, i) => `b${i}`).join("\n")];
    const pieces = wordDiff(a, b);
    expect(before(pieces)).toBe(a);
    expect(after(pieces)).toBe(b);
  });
  it("counts words, not blanks", () => expect(changedWords(wordDiff("a", "a b, c"))).toEqual({ inserted: 2, deleted: 0 }));
});
