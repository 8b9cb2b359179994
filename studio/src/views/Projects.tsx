import { useQuery } from "@tanstack/react-query";
import { projectsQuery } from "../api/queries";
import type { Project } from "../api/types";
import { projectPath } from "../lib/route";
import { useTitle } from "../lib/title";
import { Command } from "../ui/Command";
import { Failure } from "../ui/Failure";
import { Link } from "../ui/Link";
import { Notice } from "../ui/Notice";
import { Skeleton } from "../ui/Skeleton";
import { Ago } from "../ui/Times";

const FIRST_RUN = `import afnio.tellurio as te

with te.init("my-team", "My Project") as run:
    run.log("score", 0.5)`;

export function Projects() {
  useTitle("Projects");
  const { data, error, refetch } = useQuery({ ...projectsQuery, refetchInterval: 5_000 });
  return (
    <div className="page">
      <div className="page-head">
        <h1>Projects</h1>
      </div>
      {data ? <Listed projects={data} /> : error ? <Failure error={error} what="list of projects" retry={() => void refetch()} /> : <Skeleton />}
    </div>
  );
}

function Listed({ projects }: { projects: readonly Project[] }) {
  if (!projects.length)
    return (
      <Notice title="No projects yet">
        <p>A script that tracks a Run makes its project. The demo does:</p>
        <Command>make demo</Command>
        <p>Or begin a Run in a script of your own:</p>
        <Command>{FIRST_RUN}</Command>
      </Notice>
    );
  return (
    <ul className="cards">
      {projects.map((project) => (
        <li key={project.id} className="card project">
          <h2>
            <Link to={projectPath(project.namespace_slug, project.slug)}>{project.display_name}</Link>
          </h2>
          {project.description && <p className="clamp">{project.description}</p>}
          <p className="muted">
            <span>{project.namespace_slug}</span>
            <span>{VISIBILITY[project.visibility]}</span>
            <span>{project.last_run ? <>last Run <Ago time={project.last_run} /></> : "no Runs yet"}</span>
          </p>
        </li>
      ))}
    </ul>
  );
}

const VISIBILITY: Record<Project["visibility"], string> = {
  RESTRICTED: "members only",
  TEAM: "team",
  PUBLIC: "public to read",
  OPEN: "open to all",
};
