/** Reads a stream of server-sent events as it comes, whatever the pieces it comes in. */

export interface ServerEvent {
  kind: string;
  data: string;
  id: string | null;
}

export class EventReader {
  private rest = "";
  private kind = "";
  private data: string[] = [];
  private id: string | null = null;

  /** The events that this piece completes. */
  take(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    const lines = (this.rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") this.field(line);
      else {
        if (this.data.length || this.kind) events.push({ kind: this.kind || "message", data: this.data.join("\n"), id: this.id });
        [this.kind, this.data] = ["", []];
      }
    }
    return events;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.kind = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }
}
