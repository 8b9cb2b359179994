import { Component, type ReactNode } from "react";
import { connection } from "../live/connection";
import { wordsOf } from "./Failure";
import { Notice } from "./Notice";

interface State {
  error: unknown;
}

/** Where a view cannot be drawn, or its code cannot be loaded, the rest of the page stays. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  private forget: (() => void) | undefined;

  override componentDidMount(): void {
    this.forget = connection.onReturn(() => {
      // A part of the page that could not be loaded is asked for again only by a page that is loaded anew.
      if (this.state.error !== null) window.location.reload();
    });
  }

  override componentWillUnmount(): void {
    this.forget?.();
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <Notice title="This view could not be shown" alert>
        <p>{wordsOf(this.state.error)}</p>
        <p>
          <button type="button" className="button" onClick={() => window.location.reload()}>
            Load the page again
          </button>
        </p>
      </Notice>
    );
  }
}
