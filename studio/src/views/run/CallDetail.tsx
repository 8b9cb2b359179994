import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { callQuery } from "../../api/queries";
import type { Call } from "../../api/types";
import { duration, group, moment } from "../../lib/format";
import { requestMessages, responseMessages } from "../../lib/messages";
import { Facts } from "../../ui/Facts";
import { Failure } from "../../ui/Failure";
import { Icon } from "../../ui/Icon";
import { Money } from "../../ui/Money";
import { Skeleton } from "../../ui/Skeleton";
import { MessageBox } from "./MessageBox";

interface Props {
  runId: string;
  call: number;
  onClose: () => void;
}

/** One call, whole: what was asked, what was answered, what it took. */
export function CallDetail({ runId, call, onClose }: Props) {
  const { data, error, refetch } = useQuery(callQuery(runId, call));
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone it covers the list: the keyboard goes with it.
    if (window.matchMedia("(max-width: 900px)").matches) panel.current?.focus();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
  };
  return (
    <aside className="call-detail" aria-label={`Call ${call}`} ref={panel} tabIndex={-1} onKeyDown={onKeyDown}>
      <header>
        <h2>Call {call}</h2>
        <button type="button" className="quiet" onClick={onClose} aria-label="Close the call" title="Close (Esc)">
          <Icon name="cross" />
        </button>
      </header>
      {data ? (
        <Shown call={data} />
      ) : error ? (
        <Failure error={error} what="call" retry={() => void refetch()} />
      ) : (
        <Skeleton what="Loading the call" />
      )}
    </aside>
  );
}

function Shown({ call }: { call: Call }) {
  const asked = requestMessages(call.request);
  const answered = responseMessages(call.response);
  const settings = settingsOf(call.request);
  return (
    <div className="call-body">
      <Facts
        rows={[
          ["Node", call.label ?? call.node],
          ["Made at", call.location && <code key="location">{call.location}</code>],
          ["Error", call.error && <span key="error" className="failed">{call.error}</span>],
          ["Edited", call.edited ? "changed for this rerun" : null],
          ["Role", [call.role, call.phase].filter(Boolean).join(" · ")],
          ["Model", <code key="model">{call.model}</code>],
          ["Endpoint", <code key="host">{`${call.host}${typeof call.path === "string" ? call.path : ""}`}</code>],
          ["Cost", call.source === "live" ? <Money key="cost" usd={call.usd} /> : `$0, ${call.call_id === null ? call.source : "recorded"}`],
          ["Tokens", tokensOf(call)],
          ["Latency", duration(call.seconds) + (call.attempts > 1 ? `, ${call.attempts} attempts` : "")],
          ["Begun", moment(call.started)],
          ["Settings", settings && <code key="settings">{settings}</code>],
        ]}
      />
      <h3>Request</h3>
      {asked?.map((message, i) => <MessageBox key={i} message={message} />) ?? <Json value={call.request} />}
      <h3>Response</h3>
      {answered?.map((message, i) => <MessageBox key={i} message={message} />) ?? <Json value={call.response} />}
      <details className="raw">
        <summary>The whole record as JSON</summary>
        <Json value={call.record} />
      </details>
    </div>
  );
}

function Json({ value }: { value: unknown }) {
  return <pre className="text json">{value === null || value === undefined ? "nothing was recorded" : JSON.stringify(value, null, 2)}</pre>;
}

function tokensOf(call: Call): string {
  const cached = call.cached_tokens > 0 ? ` (${group(call.cached_tokens)} cached)` : "";
  const reasoning = call.reasoning_tokens > 0 ? ` (${group(call.reasoning_tokens)} reasoning)` : "";
  return `${group(call.input_tokens)} in${cached}, ${group(call.output_tokens)} out${reasoning}${call.estimated ? ", estimated" : ""}`;
}

/** What was set beside the messages, in short. */
function settingsOf(request: unknown): string {
  if (typeof request !== "object" || request === null) return "";
  return Object.entries(request)
    .filter(([name, value]) => !["messages", "input", "system", "instructions", "model"].includes(name) && typeof value !== "object")
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");
}
