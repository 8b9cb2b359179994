import { expect, test } from "vitest";
import { placed } from "./parts";

const part = (id: string, parent: string | null) => ({ id, parent });

test("each part is below the one it is a part of, in the order they came", () => {
  const parts = [part("a", "root"), part("b", "root"), part("a1", "a"), part("b1", "b"), part("a2", "a"), part("a11", "a1")];
  expect(placed("root", parts).map(({ part: { id }, depth }) => [id, depth])).toEqual([
    ["a", 0],
    ["a1", 1],
    ["a11", 2],
    ["a2", 1],
    ["b", 0],
    ["b1", 1],
  ]);
});

test("parts that are each within the other are left out, and it ends", () => {
  expect(placed("root", [part("x", "y"), part("y", "x"), part("a", "root")]).map(({ part: { id } }) => id)).toEqual(["a"]);
});
