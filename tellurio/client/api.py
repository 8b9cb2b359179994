"""Reading back what Runs stored: ``te.Api()``.

api = te.Api()
for run in api.runs("me/my-project", filter=["status = COMPLETED", "metrics.accuracy > 0.8"], sort="-metrics.accuracy"):
    print(run.name, run.cost["usd"], run.metrics("accuracy")[-1]["value"])
api.run("me/my-project/hungry-brownie-557").artifact("checkpoint").download("best")
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tellurio.client.downloads import download_files
from tellurio.client.graphs import CallEdge, Difference, Edit, RunGraph, graph_of
from tellurio.client.http import Client, segment
from tellurio.client.login import connect
from tellurio.client.project import Project, list_projects
from tellurio.schemas.records import number_in
from tellurio.schemas.slugs import slugify

__all__ = ["Api", "Runs", "StoredArtifact", "StoredRun"]

Condition = str | tuple[str, str, Any]
Filter = Mapping[str, Any] | Condition | Sequence[Condition]

_OPERATORS = ("=", "!=", "<=", ">=", "<", ">", "~")
_CONDITION = re.compile(r"\s*(?P<what>\S.*?)\s*(?P<op>==|!=|<=|>=|=|<|>|~)\s*(?P<value>.*?)\s*", re.DOTALL)
_PAGE = 200


class Api:
    """What is stored on the server, to read.

    Args:
        client: of the server; None: the one of ``te.login``, else the one that is configured, else the local one.
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or connect()

    def __repr__(self) -> str:
        return f"Api({self._client.url!r})"

    def projects(self, namespace: str | None = None) -> list[Project]:
        """The projects of a namespace, or of all namespaces you are a member of.

        Raises:
            ServerError: 404, there is no such namespace.
        """
        if namespace is not None:
            return list_projects(namespace, self._client)
        found = self._client.get("/api/v1/namespaces")
        return [project for each in found for project in list_projects(each["slug"], self._client)]

    def runs(
        self,
        project: str | Project,
        filter: Filter | None = None,
        sort: str | None = None,
        limit: int | None = None,
        *,
        search: str | None = None,
    ) -> Runs:
        """The Runs of ``"namespace/project"``, fetched page by page as you go through them.

        Args:
            project: its namespace and slug, or a `Project`.
            filter: what must hold for each: ``{"metrics.acc": (">", 0.5), "status": "COMPLETED"}``, or
                ``"metrics.acc > 0.5"``, or a list of such texts.  The operators are ``= != < <= > >=`` and ``~``
                (contains).  What there is: status, kind, name, description, notes, user, created, updated, ended,
                duration, cost, calls, tags, ``metrics.<name>`` (its last value), ``config.<dotted name>``.
            sort: one of these names; with ``-`` in front the greatest come first.  By default the newest come first.
            limit: at most so many.
            search: words that must be in its name, description, notes or tags.

        Raises:
            ValueError: a filter that cannot be read.
            ServerError: 404, no such project; 422, something that cannot be filtered or sorted by.
        """
        namespace, slug = _named(project)
        query = [("filter", each) for each in _conditions(filter)]
        query += [(name, value) for name, value in (("sort", sort), ("search", search)) if value is not None]
        if limit is not None and limit < 0:
            raise ValueError(f"limit must be at least 0, got {limit}.")
        return Runs(self._client, f"{_project_path(namespace, slug)}/runs", query, limit)

    def run(self, run: str) -> StoredRun:
        """One Run, by ``"namespace/project/run"``, by the address of its page, or by its id.

        Raises:
            ValueError: it is none of these.
            ServerError: 404, there is no such Run that you may see.
        """
        parts = _run_parts(self._client, run)
        if len(parts) == 1:
            return StoredRun(self._client, self._client.get(f"/api/v1/runs/{segment(parts[0])}"))
        namespace, project, slug = parts
        return StoredRun(self._client, self._client.get(f"{_project_path(namespace, project)}/runs/{segment(slug)}"))

    def recordings(self, limit: int = 20) -> list[StoredRun]:
        """The latest recordings that you may see, newest first: scripts that ``ao-record`` ran."""
        found = self._client.get("/api/v1/recordings", params={"limit": limit})
        return [self.run(each["id"]) for each in found]

    def recording(self, name: str) -> StoredRun:
        """The Run that ``ao-tool`` would show: by its id, the beginning of it, its name, or ``"last"``, your latest.

        Raises:
            ServerError: 404, there is none such; 422, several ids begin like that.
        """
        return StoredRun(self._client, self._client.get(f"/api/v1/recordings/{segment(name)}")["run"])


class Runs:
    """Runs of a project; going through them fetches pages.  ``len`` is how many there are in all."""

    def __init__(self, client: Client, path: str, query: list[tuple[str, Any]], limit: int | None) -> None:
        self._client, self._path, self._query, self._limit = client, path, query, limit

    def __iter__(self) -> Iterator[StoredRun]:
        left = self._limit
        cursor = None
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._page(size, cursor)
            for each in page["runs"]:
                yield StoredRun(self._client, each)
            cursor = page["cursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["runs"])

    def __len__(self) -> int:
        total: int = self._page(1, None)["total"]
        return total if self._limit is None else min(total, self._limit)

    def __bool__(self) -> bool:
        return len(self) > 0

    def frame(self) -> Any:
        """A pandas DataFrame with a row for each Run: what it is, what it cost, and a column for each config value.

        Raises:
            ImportError: pandas is not installed.
        """
        return _frame("frame()", [each.facts() for each in self])

    def _page(self, limit: int, cursor: str | None) -> dict[str, Any]:
        page: dict[str, Any] = self._client.get(
            self._path, params=[*self._query, ("limit", limit), *([("cursor", cursor)] if cursor else [])]
        )
        return page


class StoredRun:
    """A Run as the server has it.  Its facts are those of when it was fetched (`refresh` fetches them again); metrics,
    calls and the like are fetched when asked for.

    Attributes:
        id, name, slug, namespace, project: of the Run; the last two are slugs.
        status: RUNNING, COMPLETED, CRASHED or FAILED; or DRAFT: an edited copy of a recording that nobody has run yet.
            ``reason`` says more, where more is known.
        kind: ``"run"`` of ``te.init``, ``"recording"`` of ``ao-record``, ``"subrun"``, a part of it, or ``"rerun"``.
        parent_id: of the Run it is a part or a repetition of, or None.
        config, tags, description, notes, budget: as given to ``te.init``, or changed since.
        created, updated, ended: times; ``ended`` is None while it runs.
        user: ``{"id", "username", "slug"}`` of who made it.
        url: of its page.
    """

    def __init__(self, client: Client, facts: dict[str, Any]) -> None:
        self._client = client
        self._facts(facts)

    def _facts(self, facts: dict[str, Any]) -> None:
        self.id: str = facts["id"]
        self.name: str = facts["name"]
        self.slug: str = facts["slug"]
        self.namespace: str = facts["namespace_slug"]
        self.project: str = facts["project_slug"]
        self.status: str = facts["status"]
        self.reason: str | None = facts["reason"]
        self.config: dict[str, Any] = facts["config"] or {}
        self.tags: list[str] = facts["tags"]
        self.description: str | None = facts["description"]
        self.notes: str | None = facts["notes"]
        self.budget: dict[str, Any] | None = facts["budget"]
        self.user: dict[str, Any] = facts["user"]
        self.kind: str = facts.get("kind", "run")  # a server of an earlier release does not say it
        self.parent_id: str | None = facts["parent_id"]
        self.created = _date(facts["created"])
        self.updated = _date(facts["updated"])
        self.ended = None if facts["ended"] is None else _date(facts["ended"])
        self._cost: dict[str, Any] = facts["cost"]

    def __repr__(self) -> str:
        return f"StoredRun({self.namespace}/{self.project}/{self.slug}, {self.status})"

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self._client.url}/{self.namespace}/projects/{self.project}/runs/{self.slug}/"

    def refresh(self) -> StoredRun:
        """Fetch its facts again; returns itself."""
        self._facts(self._client.get(self._path))
        return self

    @property
    def cost(self) -> dict[str, Any]:
        """What its LM calls cost: ``usd`` (an exact Decimal; None where no call had a known price), ``calls``,
        ``reused`` (answered by the record of an earlier call), ``input_tokens``, ``output_tokens``, ``unpriced``."""
        return _priced(self._cost)

    def costs(self) -> list[dict[str, Any]]:
        """The same for each role, phase and model."""
        return [_priced(each) for each in self._get("cost")["by"]]

    def metrics(self, name: str | None = None) -> list[dict[str, Any]]:
        """The points of a metric, ``{"step", "time", "value"}`` each, in the order they were logged.

        Without a name: what metrics there are, ``{"name", "count", "last", "last_step", "last_time", "min", "max"}``.
        """
        if name is None:
            return [_numbered(each, ("last", "min", "max")) for each in self._get("metrics")]
        points = self._get(f"metrics/{segment(name, safe='/')}")["points"]
        return [{"step": step, "time": time, "value": number_in(value)} for step, time, value in points]

    def metrics_frame(self, *names: str) -> Any:
        """The points of these metrics (of all, if none is named) as a pandas DataFrame: name, step, time, value.

        Raises:
            ImportError: pandas is not installed.
        """
        wanted = names or tuple(each["name"] for each in self.metrics())
        rows = [{"name": name, **point} for name in wanted for point in self.metrics(name)]
        return _frame("metrics_frame()", rows, ["name", "step", "time", "value"])

    def texts(self, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Logged values that are no numbers: ``{"name", "type", "step", "time", "value"}``."""
        return self._each("texts", {"name": name})

    def calls(self, *, role: str | None = None, model: str | None = None) -> Iterator[dict[str, Any]]:
        """Its LM calls in the order they came, without what was said: `call` has that, by ``key``."""
        return (_priced(each) for each in self._each("calls", {"role": role, "model": model}))

    def call(self, key: int) -> dict[str, Any]:
        """One LM call, with its request and response."""
        return _priced(self._get(f"calls/{key}"))

    def prompts(self) -> list[dict[str, Any]]:
        """Every version of every parameter, with the feedback that led to it and what became of it."""
        return [_numbered(each, ("score_before", "score_after")) for each in self._get("prompts")]

    def events(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """What happened: ``{"kind", "time", "data"}``."""
        return self._each("events", {"kind": kind})

    @property
    def children(self) -> list[StoredRun]:
        """Its subruns and reruns."""
        return list(Runs(self._client, f"{self._path}/children", [], None))

    @property
    def parent(self) -> StoredRun | None:
        """The Run it is a part or a repetition of."""
        if self.parent_id is None:
            return None
        return StoredRun(self._client, self._client.get(f"/api/v1/runs/{segment(self.parent_id)}"))

    def whole_cost(self) -> dict[str, Any]:
        """`cost` with that of all its parts and theirs."""
        return _priced(self._get("cost")["whole"])

    def graph(self, *, weak: bool = False, alternatives: bool = False, bodies: bool = True) -> RunGraph:
        """Its calls and those of its parts, and what went from one into another.

        Args:
            weak: edges with little evidence too.
            alternatives: edges by which a text may have come as well, where another is likelier.
            bodies: what was asked and answered, too; without them it takes less time.
        """
        query = {"weak": weak, "alternatives": alternatives, "bodies": bodies}
        return graph_of(self._client.get(f"{self._path}/graph", params=query))

    def edges(self, *, weak: bool = False, alternatives: bool = False) -> list[CallEdge]:
        """The edges of its `graph`."""
        return self.graph(weak=weak, alternatives=alternatives, bodies=False).edges

    def diff(self, other: StoredRun) -> Difference:
        """What became of its calls in ``other``, a later run of the same script in the same project.

        Raises:
            ServerError: 404, the other Run is of another project.
        """
        return Difference(**self._get(f"diff/{segment(other.id)}"))

    def edits(self) -> list[Edit]:
        """What a draft, or a rerun that was one, changes of the Run it was made of; in the order it was noted."""
        return [Edit(**{**each, "created": _date(each["created"])}) for each in self._get("edits")]

    def edit(
        self, call: str, field: Literal["input", "output"], path: str, value: Any = None, *, remove: bool = False
    ) -> StoredRun:
        """Note a change of a call for a rerun; returns the draft it is in, which is this Run if it is one.

        Args:
            call: id of the call.
            field: what is changed: ``"input"``, its request, or ``"output"``, its answer.
            path: where: ``"/messages/0/content"``, or ``"messages.0.content"``; ``""`` is all of it.
            value: what is there then.
            remove: take away what is there instead.

        Raises:
            ServerError: 404, no such call; 422, it cannot be changed like that.
        """
        given = {"call": call, "field": field, "path": path} | ({"remove": True} if remove else {"value": value})
        return StoredRun(self._client, self._client.post(f"{self._path}/edits", json=given))

    def rerun(self, env: Mapping[str, str] | None = None, *, cache: bool = True) -> StoredRun:
        """Have the local server run the recorded script, or the draft, again; returns the Run it becomes.

        Args:
            env: keys that the script needs; they are not stored.
            cache: answer recorded calls from the recording.

        Raises:
            ServerError: 409, it cannot be run there; the message says why.
        """
        given = {"env": dict(env or {}), "cache": cache}
        return StoredRun(self._client, self._client.post(f"{self._path}/rerun", json=given))

    def stop(self) -> int:
        """Have the local server stop the recorded script, as Ctrl-C does; returns its process id.

        Raises:
            ServerError: 409, it does not run there.
        """
        return int(self._client.post(f"{self._path}/stop")["pid"])

    def artifacts(self) -> list[StoredArtifact]:
        """All versions of all its artifacts, by name and version."""
        return [self._artifact(each) for each in self._get("artifacts")]

    def artifact(self, name: str, version: int | None = None) -> StoredArtifact:
        """One artifact, its newest version unless another is asked for.

        Raises:
            LookupError: the Run has none; the message says which it has.
        """
        all_of_them = self.artifacts()
        found = [each for each in all_of_them if each.name == name and version in (None, each.version)]
        if not found:
            there = ", ".join(f"{each.name} (version {each.version})" for each in all_of_them) or "none"
            wanted = f"artifact {name!r}" + ("" if version is None else f" of version {version}")
            raise LookupError(f"Run '{self.name}' has no {wanted}; it has: {there}.")
        return max(found, key=lambda each: each.version)

    def facts(self) -> dict[str, Any]:
        """What is known without asking again, flat: a row of a table."""
        names = ("id", "name", "namespace", "project", "status", "reason", "created", "updated", "ended", "tags")
        row: dict[str, Any] = {name: getattr(self, name) for name in names}
        row |= {"username": self.user["username"]}
        row |= {f"cost.{name}": value for name, value in self.cost.items()}
        return row | {f"config.{name}": value for name, value in _flat(self.config)}

    @property
    def _path(self) -> str:
        return f"/api/v1/runs/{self.id}"

    def _get(self, what: str) -> Any:
        return self._client.get(f"{self._path}/{what}")

    def _each(self, what: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Page by page, each after the last key of the one before."""
        after = 0
        while True:
            page = self._client.get(f"{self._path}/{what}", params={**query, "after": after, "limit": _PAGE})
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1]["key"]

    def _artifact(self, said: dict[str, Any]) -> StoredArtifact:
        fields = ("name", "version", "kind", "size", "digest", "files")
        return StoredArtifact(**{name: said[name] for name in fields}, created=_date(said["created"]), run=self)


@dataclass(frozen=True)
class StoredArtifact:
    """One version of an artifact: files, by their SHA-256.

    Attributes:
        files: ``{"path", "sha256", "size"}`` each.
        size: of all files together, in bytes.
    """

    name: str
    version: int
    kind: str
    size: int
    digest: str
    files: list[dict[str, Any]]
    created: datetime
    run: StoredRun

    def download(self, folder: str | Path = ".") -> Path:
        """Write its files into ``folder``, which is made if it is not there; returns the folder.

        Each file is compared with its SHA-256 and is there whole or not at all.  A file that is there already and is
        the same is not fetched again.  Nothing is written outside of ``folder``, not even by a link in it.

        Raises:
            ValueError: a path of a file would lead out of the folder; nothing is written then.
            ServerError: what the server sends is not what was stored.
            OSError: a file cannot be written.
        """
        run = self.run
        source = f"/api/v1/runs/{run.id}/artifacts/{segment(self.name)}/{self.version}/files"
        return download_files(run._client, source, self.files, Path(folder))


def _named(project: str | Project) -> tuple[str, str]:
    if isinstance(project, Project):
        return str(project.org_slug), project.slug
    parts = [part for part in project.split("/") if part] if isinstance(project, str) else []
    if len(parts) != 2:
        raise ValueError(f"expected a project as 'namespace/project', got {project!r}.")
    return parts[0], slugify(parts[1])


def _run_parts(client: Client, run: str) -> list[str]:
    path = run
    if "://" in run:
        if not run.startswith(f"{client.url}/"):
            raise ValueError(f"the Run {run} is not on {client.url}: te.login(url=...) to its server first.")
        path = urlsplit(run.removeprefix(client.url)).path
    parts = [part for part in path.split("/") if part]
    if len(parts) == 5 and (parts[1], parts[3]) == ("projects", "runs"):
        parts = parts[::2]
    if len(parts) not in (1, 3):
        raise ValueError(f"expected a Run as 'namespace/project/run', its address or its id, got {run!r}.")
    return parts if len(parts) == 1 else [parts[0], slugify(parts[1]), slugify(parts[2])]  # names are as good


def _project_path(namespace: str, project: str) -> str:
    return f"/api/v1/namespaces/{segment(namespace)}/projects/{segment(project)}"


def _conditions(filter: Filter | None) -> Iterable[str]:
    """Each condition as the API spells it: ``what:operator:value``."""
    if filter is None:
        return []
    if isinstance(filter, str) or _is_condition(filter):
        return [_condition(filter)]  # type: ignore[arg-type]  # it is one
    if isinstance(filter, Mapping):
        filter = [(what, *_compared(value)) for what, value in filter.items()]
    return [_condition(each) for each in filter]


def _is_condition(filter: Any) -> bool:
    return isinstance(filter, tuple) and len(filter) == 3 and filter[1] in _OPERATORS


def _compared(value: Any) -> tuple[str, Any]:
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] in _OPERATORS:
        return value[0], value[1]
    return "=", value


def _condition(given: Condition) -> str:
    if isinstance(given, str):
        found = _CONDITION.fullmatch(given)
        if found is None:
            raise ValueError(f"expected a filter like 'metrics.accuracy > 0.5', got {given!r}.")
        what, operator, value = found["what"], found["op"], found["value"]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        return f"{what}:{'=' if operator == '==' else operator}:{value}"
    if not _is_condition(given):
        raise ValueError(
            f"expected a filter (what, operator, value) with one of {' '.join(_OPERATORS)}, got {given!r}."
        )
    what, operator, value = given
    return f"{what}:{operator}:{_worded(value)}"


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _priced(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "usd": None if row["usd"] is None else Decimal(row["usd"])}


def _numbered(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**row, **{name: None if row[name] is None else number_in(row[name]) for name in names}}


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _frame(what: str, rows: list[dict[str, Any]], columns: list[str] | None = None) -> Any:
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        raise ImportError(f"{what} needs pandas, which is not installed. Type: pip install pandas") from None
    return pandas.DataFrame(rows, columns=columns)
