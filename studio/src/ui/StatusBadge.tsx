import type { Status } from "../api/types";
import { Icon, type IconName } from "./Icon";

const SHOWN: Record<Status, { word: string; icon: IconName | null }> = {
  RUNNING: { word: "Running", icon: null },
  COMPLETED: { word: "Completed", icon: "check" },
  CRASHED: { word: "Crashed", icon: "cross" },
  FAILED: { word: "Failed", icon: "warning" },
  DRAFT: { word: "Draft", icon: "copy" },
};

/** A Run's state: a word, a sign and a colour. */
export function StatusBadge({ status, reason }: { status: Status; reason?: string | null }) {
  const { word, icon } = SHOWN[status];
  return (
    <span className={`status status-${status.toLowerCase()}`} title={reason ?? undefined}>
      {icon ? <Icon name={icon} /> : <span className="pulse" aria-hidden="true" />}
      {word}
    </span>
  );
}
