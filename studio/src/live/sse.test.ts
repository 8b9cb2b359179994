import { describe, expect, it } from "vitest";
import { EventReader } from "./sse";

const STREAM = 'event: hello\ndata: {"hub":"h"}\n\n: still here\n\nid: h:1\nevent: changed\ndata: {"a":1}\ndata: x\n\n';
const EVENTS = [
  { kind: "hello", data: '{"hub":"h"}', id: null },
  { kind: "changed", data: '{"a":1}\nx', id: "h:1" },
];

describe("reading events", () => {
  it("in one piece", () => expect(new EventReader().take(STREAM)).toEqual(EVENTS));
  it("in pieces of any length", () => {
    for (let length = 1; length < 12; length++) {
      const reader = new EventReader();
      const found = [];
      for (let i = 0; i < STREAM.length; i += length) found.push(...reader.take(STREAM.slice(i, i + length)));
      expect(found).toEqual(EVENTS);
    }
  });
  it("with carriage returns", () => expect(new EventReader().take(STREAM.replaceAll("\n", "\r\n"))).toEqual(EVENTS));
  it("waits for the end of an event", () => expect(new EventReader().take("data: x\n")).toEqual([]));
});
