import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../api/queries";
import { usePath } from "../lib/location";
import { projectPath, type Route, routeOf } from "../lib/route";
import { Link } from "./Link";
import { LiveDot } from "./LiveDot";
import { ThemeToggle } from "./ThemeToggle";

export function Header() {
  const route = routeOf(usePath());
  const { data: me } = useQuery(meQuery);
  return (
    <header className="top">
      <Link to="/" className="brand" aria-label="Tellurio: all projects">
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
          <rect width="32" height="32" rx="7" className="brand-back" />
          <path d="M7 22 13 13l5 5 7-10" className="brand-line" />
        </svg>
        <span className="brand-word">Tellurio</span>
      </Link>
      <Crumbs route={route} />
      <div className="top-end">
        <LiveDot />
        {me && (
          <span className="who" title={me.user.email}>
            {me.user.username}
          </span>
        )}
        <ThemeToggle />
      </div>
    </header>
  );
}

function Crumbs({ route }: { route: Route }) {
  if (route.view !== "runs" && route.view !== "run") return <div className="crumbs" />;
  const { ns, project } = route;
  return (
    <nav className="crumbs" aria-label="Where you are">
      <ol>
        <li className="crumb-ns">
          <Link to="/">{ns}</Link>
        </li>
        <li>
          <Link to={projectPath(ns, project)} aria-current={route.view === "runs" ? "page" : undefined}>
            {project}
          </Link>
        </li>
        {route.view === "run" && (
          <li className="crumb-run">
            <span aria-current="page">{route.run}</span>
          </li>
        )}
      </ol>
    </nav>
  );
}
