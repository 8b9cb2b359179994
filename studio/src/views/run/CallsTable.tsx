import type { KeyboardEvent } from "react";
import type { ListedCall } from "../../api/types";
import { duration, group, short } from "../../lib/format";
import { useMedia, usePhone } from "../../lib/media";
import { Money } from "../../ui/Money";
import { Ago } from "../../ui/Times";
import { useRows } from "../runs/useRows";

interface Props {
  calls: readonly ListedCall[];
  total: number;
  open: number | null;
  more: () => void;
  onOpen: (key: number) => void;
  onClose: () => void;
}

const ROW = 37;

/** The calls, newest first; arrows lead from call to call, Enter opens one. */
export function CallsTable({ calls, total, open, more, onOpen, onClose }: Props) {
  // As many as the styles leave, or the table would make room for the others.
  const narrow = useMedia("(max-width: 900px)");
  const columns = usePhone() ? 4 : open !== null && !narrow ? 5 : 7;
  const rows = useRows({ count: calls.length, height: ROW, more });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && open !== null) onClose();
    else rows.onKeyDown(event);
  };
  return (
    <div className="scroller" ref={rows.scroller}>
      <table className="grid calls-table" aria-rowcount={total + 1}>
        <caption className="sr">LM calls, newest first. Arrow keys lead from call to call, Enter opens one.</caption>
        <colgroup>
          <col className="c-node" />
          <col className="c-role" />
          <col className="c-model" />
          <col className="c-tokens" />
          <col className="c-cost" />
          <col className="c-latency" />
          <col className="c-when" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col">Call</th>
            <th scope="col">Role</th>
            <th scope="col">Model</th>
            <th scope="col" className="number">
              Tokens
            </th>
            <th scope="col" className="number">
              Cost
            </th>
            <th scope="col" className="number">
              Latency
            </th>
            <th scope="col" className="number">
              When
            </th>
          </tr>
        </thead>
        <tbody onKeyDown={onKeyDown}>
          {rows.before > 0 && <Space height={rows.before} columns={columns} />}
          {rows.items.map(({ index }) => {
            const call = calls[index];
            if (!call) return null;
            return (
              <tr
                key={call.key}
                data-index={index}
                data-call={call.key}
                aria-rowindex={index + 2}
                className={call.key === open ? "open" : undefined}
                onClick={() => onOpen(call.key)}
              >
                <th scope="row">
                  <button
                    type="button"
                    className="row-button"
                    data-row-link
                    tabIndex={index === rows.tabStop ? 0 : -1}
                    aria-expanded={call.key === open}
                    onFocus={() => rows.setActive(index)}
                    title={[call.label ?? call.node, call.location].filter(Boolean).join(" at ")}
                  >
                    <span className="call-number">{call.key}</span> {call.label || call.node || call.words || "call"}
                    {call.error && <span className="failed"> failed</span>}
                    {call.edited && <span className="tag">edited</span>}
                    {call.location && <span className="muted"> {placeOf(call.location)}</span>}
                  </button>
                </th>
                <td>
                  {call.role}
                  {call.phase && <span className="muted"> · {call.phase}</span>}
                </td>
                <td title={`${call.provider} at ${call.host}`}>{call.model}</td>
                <td className="number" title={tokens(call)}>
                  {short(call.input_tokens)} → {short(call.output_tokens)}
                  {call.estimated && <span title="estimated"> ~</span>}
                </td>
                <td className="number">{call.source === "live" ? <Money usd={call.usd} /> : <span className="tag">{sourceOf(call)}</span>}</td>
                <td className="number">
                  {duration(call.seconds)}
                  {call.attempts > 1 && <span className="muted"> ×{call.attempts}</span>}
                </td>
                <td className="number">
                  <Ago time={call.started} />
                </td>
              </tr>
            );
          })}
          {rows.after > 0 && <Space height={rows.after} columns={columns} />}
        </tbody>
      </table>
    </div>
  );
}

/** `file:line`, without the folders. */
function placeOf(location: string): string {
  return location.slice(location.lastIndexOf("/") + 1);
}

/** What answered it, if not the model. */
function sourceOf(call: ListedCall): string {
  return call.call_id === null ? call.source : "recorded";
}

function tokens(call: ListedCall): string {
  const more = [
    call.cached_tokens > 0 ? `${group(call.cached_tokens)} of them cached` : "",
    call.reasoning_tokens > 0 ? `${group(call.reasoning_tokens)} for reasoning` : "",
  ].filter(Boolean);
  return [`${group(call.input_tokens)} in, ${group(call.output_tokens)} out`, ...more].join("; ");
}

function Space({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden="true" className="space">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}
