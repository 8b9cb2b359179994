import { describe, expect, it } from "vitest";
import { oldParts, parseHint, touchesListing } from "./hints";

describe("hints", () => {
  it("are read, and nothing else is", () => {
    expect(parseHint('{"run_id":"r","what":["calls"]}')).toEqual({ run_id: "r", what: ["calls"] });
    for (const data of ["", "{", "[]", "null", '{"run_id":1,"what":[]}']) expect(parseHint(data)).toBeNull();
  });
  it("make what they name old, and what is made of it", () => {
    expect(oldParts({ run_id: "r", what: ["calls", "status"] })).toEqual(["facts", "calls", "cost", "overview", "family", "output"]);
    expect(oldParts({ run_id: "r", what: ["prompts"] })).toEqual(["prompts"]);
    expect(oldParts({ run_id: "r", what: ["what comes later"] })).toEqual([]);
  });
  it("touch the table of Runs where it shows them", () => {
    expect(touchesListing({ run_id: "r", what: ["prompts", "events"] })).toBe(false);
    expect(touchesListing({ run_id: "r", what: ["events", "metrics"] })).toBe(true);
  });
});
