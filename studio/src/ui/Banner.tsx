import { connection } from "../live/connection";
import { useStore } from "../lib/store";

/** What is wrong between the page and its server. */
export function Banner() {
  const state = useStore(connection.state);
  const outdated = useStore(connection.outdated);
  return (
    <div aria-live="polite" className="banners">
      {state === "offline" && (
        <p className="banner banner-bad">
          <span>
            <strong>The server is not reachable.</strong> Trying again… What you see may be old.
          </span>
          <button type="button" className="button" onClick={() => connection.retry()}>
            Try now
          </button>
        </p>
      )}
      {state !== "offline" && outdated && (
        <p className="banner">
          <span>The server was updated.</span>
          <button type="button" className="button" onClick={() => window.location.reload()}>
            Load the new page
          </button>
        </p>
      )}
    </div>
  );
}
