import type { Cost } from "../../api/types";
import { byRole, type CostRow } from "../../lib/cost";
import { group, plural, short } from "../../lib/format";
import { Money } from "../../ui/Money";

interface Props {
  cost: Cost;
  role: string | null;
  onChange: (role: string | null) => void;
}

/** Calls by role, what they add up to; one can be chosen. */
export function Roles({ cost, role, onChange }: Props) {
  const rows = byRole(cost.by);
  return (
    <div className="roles" role="group" aria-label="Role">
      <Choice row={{ ...cost.total, role: "" }} word="All" chosen={role === null} choose={() => onChange(null)} />
      {rows.map((row) => (
        <Choice key={row.role} row={row} word={row.role || "other"} chosen={role === row.role} choose={() => onChange(row.role)} />
      ))}
    </div>
  );
}

function Choice({ row, word, chosen, choose }: { row: CostRow; word: string; chosen: boolean; choose: () => void }) {
  return (
    <button type="button" className="role-card" aria-pressed={chosen} onClick={choose} data-role={word} data-usd={row.usd ?? ""}>
      <span className="role-word">{word}</span>
      <span className="role-cost">
        <Money usd={row.usd} unpriced={row.unpriced} calls={row.calls} />
      </span>
      <span className="muted">
        {plural(row.calls, "call")}
        {row.reused > 0 && `, ${group(row.reused)} reused`} · {short(row.input_tokens + row.output_tokens)} tokens
      </span>
    </button>
  );
}
