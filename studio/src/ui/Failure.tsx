import { isRefused, Refused, Unreachable } from "../api/errors";
import { Notice } from "./Notice";

/** What could not be read, why, and how to try again. */
export function Failure({ error, what, retry }: { error: unknown; what: string; retry: () => void }) {
  if (isRefused(error, 401)) return null; // the whole page says so
  if (isRefused(error, 404, 403))
    return (
      <Notice title={`There is no such ${what}`} alert>
        <p>It was deleted, its address is mistyped, or you may not see it.</p>
      </Notice>
    );
  return (
    <Notice title={`The ${what} could not be read`} alert>
      <p>{error instanceof Unreachable ? "The server is not reachable. The page tries again by itself." : wordsOf(error)}</p>
      {error instanceof Refused && error.requestId && <p className="muted">Request {error.requestId}</p>}
      <p>
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      </p>
    </Notice>
  );
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
