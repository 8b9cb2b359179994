import { useState } from "react";
import { type Message, prettyJson } from "../../lib/messages";

const LONG = 4000;

/** A message, as text: whatever a model says, it is never markup. */
export function MessageBox({ message }: { message: Message }) {
  const [whole, setWhole] = useState(false);
  const text = prettyJson(message.text) ?? message.text;
  const shown = whole || text.length <= LONG ? text : text.slice(0, LONG);
  return (
    <section className={`message message-${known(message.role)}`} aria-label={message.role}>
      <h4>{message.role}</h4>
      {text && <pre className="text">{shown}</pre>}
      {shown.length < text.length && (
        <button type="button" className="button" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString("en-US")} characters
        </button>
      )}
      {message.extra.map((part, i) => (
        <pre key={i} className="text json">
          {JSON.stringify(part, null, 2)}
        </pre>
      ))}
    </section>
  );
}

function known(role: string): string {
  return ["system", "developer", "user", "assistant", "tool"].includes(role) ? role : "other";
}
