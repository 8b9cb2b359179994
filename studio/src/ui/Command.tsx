import { useEffect, useState } from "react";
import { Icon } from "./Icon";

/** Something to type in a terminal, or to copy. */
export function Command({ children }: { children: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    await navigator.clipboard.writeText(children);
    setCopied(true);
  };
  return (
    <div className="command">
      <pre tabIndex={0} aria-label="Command">
        <code>{children}</code>
      </pre>
      <button type="button" onClick={() => void copy().catch(() => undefined)}>
        <Icon name={copied ? "check" : "copy"} />
        <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
      </button>
    </div>
  );
}
