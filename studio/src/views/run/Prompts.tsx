import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useMemo, useRef } from "react";
import { promptsQuery } from "../../api/queries";
import type { Prompt, Run } from "../../api/types";
import { useParams } from "../../lib/location";
import { byParameter } from "../../lib/prompts";
import { Failure } from "../../ui/Failure";
import { Notice } from "../../ui/Notice";
import { Skeleton } from "../../ui/Skeleton";
import { PromptVersion } from "./PromptVersion";
import { Score, Verdict } from "./Verdict";

export function Prompts({ run }: { run: Run }) {
  const { data, error, refetch } = useQuery(promptsQuery(run.id));
  if (!data) return error ? <Failure error={error} what="list of prompts" retry={() => void refetch()} /> : <Skeleton what="Loading the prompts" />;
  if (!data.length)
    return (
      <Notice title="No prompts yet">
        <p>
          {run.status === "RUNNING" ? "As soon as an optimizer rewrites a Parameter" : "Where an optimizer rewrites a Parameter"}, its versions are
          here: what changed, the feedback that led to it, and whether it was kept.
        </p>
      </Notice>
    );
  return <Listed run={run} prompts={data} />;
}

function Listed({ run, prompts }: { run: Run; prompts: readonly Prompt[] }) {
  const [params, change] = useParams();
  const list = useRef<HTMLElement>(null);
  const parameters = useMemo(() => byParameter(prompts), [prompts]);
  const parameter = parameters.find(({ name }) => name === params.get("parameter")) ?? parameters[0];
  if (!parameter) return null;
  const asked = params.get("version");
  const newest = parameter.versions.at(-1);
  const version = parameter.versions.find((each) => String(each.version) === asked) ?? newest;
  if (!version) return null;
  const choose = (chosen: Prompt) =>
    change({
      parameter: chosen.parameter === parameters[0]?.name ? null : chosen.parameter,
      version: String(chosen.version),
      against: null,
    });
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>("button[data-version]") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const next = buttons[Math.min(Math.max(0, at + by), buttons.length - 1)];
    next?.focus();
    next?.click();
  };
  return (
    <div className="prompts">
      <nav className="versions" aria-label="Versions" ref={list} onKeyDown={onKeyDown}>
        {parameters.map(({ name, versions }) => (
          <section key={name} aria-label={name}>
            <h2 title={versions[0]?.role}>{name}</h2>
            <ol reversed>
              {[...versions].reverse().map((each) => (
                <li key={each.key}>
                  <button
                    type="button"
                    data-version={each.version}
                    className={`version version-${each.status}`}
                    aria-current={each === version ? "true" : undefined}
                    onClick={() => choose(each)}
                  >
                    <span className="version-name">v{each.version}</span>
                    <Verdict status={each.status} />
                    <Score before={each.score_before} after={each.score_after} />
                  </button>
                </li>
              ))}
            </ol>
          </section>
        ))}
      </nav>
      <p className="sr" aria-live="polite">
        {newest && `Newest version of ${parameter.name}: ${newest.version}`}
      </p>
      <PromptVersion
        key={version.key}
        run={run}
        version={version}
        versions={parameter.versions}
        against={params.get("against")}
        mode={params.get("show") === "text" ? "text" : "diff"}
        onAgainst={(against) => change({ against, version: String(version.version) })}
        onMode={(mode) => change({ show: mode === "text" ? mode : null })}
      />
    </div>
  );
}
