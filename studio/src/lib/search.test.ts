import { describe, expect, it, test } from "vitest";
import { filterParameters, kindOf, parseSearch, statusOf, withKind, withStatus } from "./search";

const filters = (text: string) => filterParameters(parseSearch(text));

describe("what is typed over the Runs", () => {
  it("is words to search for", () => expect(parseSearch("  tender  plum ")).toEqual({ words: "tender plum", conditions: [], problems: [] }));
  it("is conditions between words", () => {
    const search = parseSearch("plum status:running metrics.loss<=0.5 config.lr=0.1");
    expect(search.words).toBe("plum");
    expect(filterParameters(search)).toEqual(["status:=:RUNNING", "metrics.loss:<=:0.5", "config.lr:=:0.1"]);
  });
  it("reads every operator", () => {
    for (const op of ["=", "!=", "<", "<=", ">", ">="]) expect(filters(`metrics.a${op}1`)).toEqual([`metrics.a:${op}:1`]);
    expect(filters("name~x")).toEqual(["name:~:x"]);
  });
  it("takes ':' as 'contains' in texts, as '=' elsewhere", () =>
    expect(filters("name:plum tags:a config.model:gpt cost:0")).toEqual(["name:~:plum", "tags:~:a", "config.model:~:gpt", "cost:=:0"]));
  it("takes quoted values with blanks and quotes", () => {
    expect(filters('name="a b"')).toEqual(["name:=:a b"]);
    expect(filters('name="say \\"hi\\""')).toEqual(['name:=:say "hi"']);
    expect(parseSearch('"status:running"').words).toBe("status:running");
  });
  it("leaves what looks like a condition but names nothing of a Run a word", () => {
    expect(parseSearch("http://x a:b 3<4").words).toBe("http://x a:b 3<4");
  });
  it("says what cannot be meant, and keeps the rest", () => {
    const search = parseSearch("status:sleeping metrics.a>b cost>1");
    expect(search.problems).toHaveLength(2);
    expect(filterParameters(search)).toEqual(["cost:>:1"]);
  });
  it("waits while a condition is being typed", () => expect(parseSearch("status: metrics.loss<")).toEqual({ words: "", conditions: [], problems: [] }));
  it("never fails", () => {
    for (const text of ['"', '""', "a\"b", "\\", ":", "status", 'name:"', "=".repeat(50)]) expect(() => parseSearch(text)).not.toThrow();
  });
});

describe("the status in it", () => {
  it("is read", () => expect([statusOf("status:crashed x"), statusOf("x"), statusOf("status!=failed")]).toEqual(["CRASHED", null, null]));
  it("is set and taken out, and the rest stays", () => {
    expect(withStatus('a "b c"', "RUNNING")).toBe('status:running a "b c"');
    expect(withStatus("status:running a status=failed", "CRASHED")).toBe("status:crashed a");
    expect(withStatus("status:running a", null)).toBe("a");
  });
});

test("a kind is a condition, and is put beside what was typed", () => {
  expect(parseSearch("kind:Recording")).toEqual({ words: "", conditions: [{ what: "kind", op: "=", value: "recording" }], problems: [] });
  expect(parseSearch("kind:film").problems).toEqual(["kind: expected run, recording, subrun or rerun, not “film”"]);
  expect(withKind("status:failed ramen kind:run", "rerun")).toBe("status:failed ramen kind:rerun");
  expect(withKind("kind:run ramen", null)).toBe("ramen");
  expect(kindOf("ramen kind:subrun")).toBe("subrun");
  expect(kindOf("ramen")).toBeNull();
});
