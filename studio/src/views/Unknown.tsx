import { useTitle } from "../lib/title";
import { Link } from "../ui/Link";

export function Unknown() {
  useTitle("Nothing here");
  return (
    <section className="sheet">
      <h1>There is nothing at this address</h1>
      <p>
        <Link to="/">All projects</Link>
      </p>
    </section>
  );
}
