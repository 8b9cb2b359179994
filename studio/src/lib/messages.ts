/** The messages of a recorded call, whatever API it spoke; what is not understood is left to be shown as JSON. */

export interface Message {
  role: string;
  text: string;
  /** Tool calls, images, what has no text. */
  extra: unknown[];
}

export function requestMessages(request: unknown): Message[] | null {
  if (!isObject(request)) return null;
  const head = [request["system"] ?? request["instructions"]].filter((each) => each !== undefined && each !== null);
  const list = request["messages"] ?? request["input"];
  const rest = typeof list === "string" ? [{ role: "user", content: list }] : list;
  if (!Array.isArray(rest)) return null;
  return [...head.map((content) => message({ role: "system", content })), ...rest.map(message)];
}

export function responseMessages(response: unknown): Message[] | null {
  if (!isObject(response)) return null;
  if (Array.isArray(response["choices"]))
    return response["choices"].filter(isObject).map((choice) => message(choice["message"] ?? choice["text"] ?? {}));
  if (Array.isArray(response["output"])) return response["output"].map(message);
  if ("content" in response) return [message(response)];
  return null;
}

function message(raw: unknown): Message {
  if (typeof raw === "string") return { role: "assistant", text: raw, extra: [] };
  if (!isObject(raw)) return { role: "?", text: "", extra: [raw] };
  const out: Message = { role: typeof raw["role"] === "string" ? raw["role"] : String(raw["type"] ?? "assistant"), text: "", extra: [] };
  const texts: string[] = [];
  read(raw["content"], texts, out.extra);
  for (const name of ["tool_calls", "function_call", "refusal", "name", "tool_call_id"]) if (raw[name]) out.extra.push({ [name]: raw[name] });
  if (!("content" in raw) && "type" in raw) out.extra.push(raw);
  out.text = texts.join("\n");
  return out;
}

function read(content: unknown, texts: string[], extra: unknown[]): void {
  if (content === null || content === undefined) return;
  if (typeof content === "string") texts.push(content);
  else if (Array.isArray(content)) for (const part of content) read(part, texts, extra);
  else if (isObject(content) && typeof content["text"] === "string") texts.push(content["text"]);
  else extra.push(content);
}

/** A text that is JSON, indented; null: it is none. */
export function prettyJson(text: string): string | null {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
