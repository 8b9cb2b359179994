import { money, plural } from "../lib/format";

interface Props {
  usd: string | null | undefined;
  unpriced?: number;
  calls?: number;
  /** Say how many calls have no price beside the sum. */
  full?: boolean;
}

/** Dollars; on pointing at it, all digits.  What has no price says so. */
export function Money({ usd, unpriced = 0, calls, full = false }: Props) {
  const { text, exact } = money(usd, unpriced, calls);
  const more = unpriced > 0 && text !== "unpriced" ? plural(unpriced, "unpriced call") : "";
  return (
    <span className={text === "unpriced" ? "money unpriced" : "money"} title={more ? `${exact}, and ${more}` : exact}>
      {text}
      {more && (full ? <small> + {plural(unpriced, "call")} unpriced</small> : <small aria-label={`and ${more}`}> +?</small>)}
    </span>
  );
}
