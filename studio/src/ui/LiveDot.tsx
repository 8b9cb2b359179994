import { useStore } from "../lib/store";
import { connection } from "../live/connection";

const WORDS = { online: "Live", offline: "Not live", "signed-out": "Signed out" } as const;

export function LiveDot() {
  const state = useStore(connection.state);
  return (
    <span className={`live live-${state}`}>
      <span className="dot" aria-hidden="true" />
      <span className="live-word">{WORDS[state]}</span>
    </span>
  );
}
