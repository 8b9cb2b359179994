import type { Route } from "../lib/route";
import { useTitle } from "../lib/title";
import { Command } from "../ui/Command";

/** Nobody is signed in.  The page looks whether somebody is by now, and goes on by itself. */
export function SignIn({ route }: { route: Route }) {
  useTitle("Sign in");
  const run = route.view === "run" ? ` ${route.ns}/${route.project}/${route.run}` : "";
  return (
    <section className="sheet" aria-labelledby="sign-in">
      <h1 id="sign-in">You are not signed in</h1>
      <p>Type this in a terminal on the machine that runs your scripts:</p>
      <Command>{`tellurio open${run}`}</Command>
      <p className="muted">
        It opens this page signed in, by a link that works once. This tab then goes on by itself. Where your scripts use a
        virtual environment, the command is in it, as <code>.venv/bin/tellurio</code>.
      </p>
    </section>
  );
}
