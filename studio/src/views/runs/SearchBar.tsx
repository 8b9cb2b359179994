import { useEffect, useId, useRef, useState } from "react";
import { type KindName, kindOf, type StatusName, statusOf, withKind, withStatus } from "../../lib/search";
import { Icon } from "../../ui/Icon";
import { Segmented } from "../../ui/Segmented";

interface Props {
  text: string;
  problems: readonly string[];
  onChange: (text: string) => void;
}

const PAUSE = 200;

const STATUSES: readonly (readonly [StatusName | "ALL", string])[] = [
  ["ALL", "All"],
  ["RUNNING", "Running"],
  ["COMPLETED", "Completed"],
  ["FAILED", "Failed"],
  ["CRASHED", "Crashed"],
  ["DRAFT", "Drafts"],
];

const KINDS: readonly (readonly [KindName, string])[] = [
  ["run", "Runs of te.init"],
  ["recording", "Recordings"],
  ["rerun", "Reruns"],
  ["subrun", "Parts"],
];

/** Words and conditions; "/" leads here from anywhere. */
export function SearchBar({ text, problems, onChange }: Props) {
  const [typed, setTyped] = useState(text);
  const [told, setTold] = useState(text);
  const input = useRef<HTMLInputElement>(null);
  const help = useId();
  if (text !== told) {
    // The address changed by other means: a button, or going back.
    setTold(text);
    setTyped(text);
  }
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => {
      setTold(typed);
      onChange(typed);
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [typed, text, onChange]);
  useEffect(() => {
    const lead = (event: KeyboardEvent) => {
      if (event.key !== "/" || isTyping(event.target)) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener("keydown", lead);
    return () => window.removeEventListener("keydown", lead);
  }, []);
  const status = statusOf(typed) ?? "ALL";
  const say = (changed: string) => {
    setTyped(changed);
    setTold(changed);
    onChange(changed);
  };
  const choose = (next: StatusName | "ALL") => say(withStatus(typed, next === "ALL" ? null : next));
  return (
    <>
      <div className="search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          placeholder="Search, or metrics.loss<0.5"
          aria-label="Search Runs"
          aria-describedby={problems.length ? help : undefined}
          aria-invalid={problems.length > 0}
          autoComplete="off"
          spellCheck={false}
        />
        <kbd aria-hidden="true">/</kbd>
        {problems.length > 0 && (
          <p id={help} className="problem" role="alert">
            {problems.join("; ")}
          </p>
        )}
      </div>
      <select
        className="kinds"
        aria-label="Kind of Run"
        value={kindOf(typed) ?? ""}
        onChange={(event) => say(withKind(typed, (event.target.value || null) as KindName | null))}
      >
        <option value="">All kinds</option>
        {KINDS.map(([kind, title]) => (
          <option key={kind} value={kind}>
            {title}
          </option>
        ))}
      </select>
      <Segmented label="Status" options={STATUSES} value={status} onChange={choose} />
    </>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
