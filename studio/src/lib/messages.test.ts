import { describe, expect, it } from "vitest";
import { prettyJson, requestMessages, responseMessages } from "./messages";

describe("messages of a request", () => {
  it("are read from chats, with texts in parts", () =>
    expect(requestMessages({ messages: [{ role: "system", content: "a" }, { role: "user", content: [{ type: "text", text: "b" }, { type: "image_url", image_url: 1 }] }] })).toEqual([
      { role: "system", text: "a", extra: [] },
      { role: "user", text: "b", extra: [{ type: "image_url", image_url: 1 }] },
    ]));
  it("are read where the system prompt stands apart", () =>
    expect(requestMessages({ system: "s", messages: [{ role: "user", content: "u" }] })?.map((m) => m.text)).toEqual(["s", "u"]));
  it("are read from an input that is a text", () => expect(requestMessages({ input: "hi" })?.[0]).toMatchObject({ role: "user", text: "hi" }));
  it("are none where there is nothing we know", () => {
    for (const request of [null, 3, "x", [], {}, { messages: 5, input: 3 }]) expect(requestMessages(request)).toBeNull();
  });
});

describe("messages of a response", () => {
  it("are read from choices, content and output", () => {
    expect(responseMessages({ choices: [{ message: { role: "assistant", content: "x" } }] })?.[0]?.text).toBe("x");
    expect(responseMessages({ role: "assistant", content: [{ type: "text", text: "y" }] })?.[0]?.text).toBe("y");
    expect(responseMessages({ output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "z" }] }] })?.[0]?.text).toBe("z");
  });
  it("keep tool calls", () =>
    expect(responseMessages({ choices: [{ message: { content: null, tool_calls: [{ id: 1 }] } }] })?.[0]?.extra).toEqual([{ tool_calls: [{ id: 1 }] }]));
  it("never fail", () => {
    for (const response of [null, { choices: [null, 1] }, { content: {} }, { output: [1, null] }]) expect(() => responseMessages(response)).not.toThrow();
  });
});

it("indents JSON and leaves the rest", () => {
  expect(prettyJson('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect([prettyJson("{no"), prettyJson("5"), prettyJson("text")]).toEqual([null, null, null]);
});
