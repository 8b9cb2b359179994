"""What the API takes and gives, as the OpenAPI description has it.  Studio's typed client is made from these.

A number of a metric is a JSON number, or ``"nan"``, ``"inf"`` or ``"-inf"``.  Times are Unix times.  Dollars are exact
decimal strings; null: no price is known.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tellurio.schemas.slugs import NAMESPACE

__all__ = [
    "Acknowledged",
    "Artifact",
    "Beat",
    "Call",
    "CallPage",
    "Cost",
    "CostRow",
    "Event",
    "Health",
    "Hint",
    "Limit",
    "ListedCall",
    "ListedRun",
    "LoginCode",
    "Me",
    "Metric",
    "MetricName",
    "Namespace",
    "NewLoginCode",
    "NewNamespace",
    "NewProject",
    "NewRun",
    "Project",
    "ProjectChange",
    "ProjectMetric",
    "Prompt",
    "Refusal",
    "Run",
    "RunChange",
    "RunPage",
    "Stored",
    "StoredText",
]


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text cannot contain a NUL character")
    return text


def _config(value: dict[str, Any]) -> dict[str, Any]:
    try:
        content = orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"it cannot be stored as JSON: {error}") from None
    if len(content) > 1_000_000:
        raise ValueError(f"it is {len(content)} bytes as JSON; 1,000,000 are allowed")
    return value


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("expected a UUID") from None


Text = Annotated[str, AfterValidator(_storable)]
Word = Annotated[Text, Field(min_length=1, max_length=200)]
Prose = Annotated[Text, Field(max_length=100_000)]
Object = Annotated[dict[str, Any], AfterValidator(_config)]
RunId = Annotated[str, Field(max_length=100, json_schema_extra={"format": "uuid"}), AfterValidator(_uuid)]
Tags = Annotated[list[Word], Field(max_length=100)]
Number = float | Literal["nan", "inf", "-inf"]
Status = Literal["RUNNING", "COMPLETED", "CRASHED", "FAILED", "DRAFT"]
RunKind = Literal["run", "recording", "subrun", "rerun"]
End = Literal["COMPLETED", "CRASHED", "FAILED"]
What = Literal["status", "facts", "metrics", "texts", "calls", "prompts", "events", "artifacts", "edges", "deleted"]
Visibility = Literal["RESTRICTED", "TEAM", "PUBLIC", "OPEN"]
Role = Literal["OWNER", "EDITOR", "VIEWER"]


class Given(BaseModel):
    """What a caller sends: nothing else is taken."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What the server says."""

    model_config = ConfigDict(extra="forbid")


class Fault(BaseModel):
    """Why something was refused."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="a word for programs")
    message: str = Field(description="a sentence for people")
    acknowledged: int | None = Field(None, description="code 'gap': number of the last record that is stored")
    n: int | None = Field(None, description="code 'refused': number of the record that cannot be stored")


class Refusal(Answer):
    """The body of every answer with a status from 400 on."""

    error: Fault


class Health(Answer):
    """That the server runs."""

    status: Literal["ok"]
    version: str
    server_id: str
    pid: int


class User(Answer):
    """Somebody with an account."""

    id: str
    username: str
    slug: str


class Account(User):
    """One's own account."""

    email: str
    is_admin: bool


class ServerFacts(Answer):
    """The server."""

    version: str
    server_id: str
    local: bool = Field(description="only this machine can reach it")


class Me(Answer):
    """Who calls, and whom."""

    user: Account
    server: ServerFacts


class NewLoginCode(Given):
    """Where the browser is to go."""

    next: Text = Field("/", max_length=2000, description="a path on this server")


class LoginCode(Answer):
    """Opens a browser's session once: ``GET /login?code=...&next=...``."""

    code: str


class NewNamespace(Given):
    """A namespace to make."""

    slug: str = Field(pattern=f"^{NAMESPACE.pattern}$")
    display_name: Word | None = None


class Namespace(Answer):
    """What projects are in."""

    id: str
    slug: str
    display_name: str
    role: Literal["OWNER", "MEMBER"] | None


class NewProject(Given):
    """A project to make; its slug is made from its name."""

    display_name: Word
    visibility: Visibility = "RESTRICTED"
    description: Prose | None = None


class ProjectChange(Given):
    """What to change; what is left out stays."""

    display_name: Word | None = None
    description: Prose | None = None
    visibility: Visibility | None = None


class Project(Answer):
    """What Runs are in."""

    id: str
    namespace_slug: str
    namespace_id: str
    namespace_display_name: str
    slug: str
    display_name: str
    description: str | None
    visibility: Visibility
    created: float
    updated: float
    last_run: float | None
    role: Role = Field(description="the caller's")


class NewRun(Given):
    """A Run to begin.  The same ``id`` again is the same Run."""

    id: RunId
    name: Word | None = None
    description: Prose | None = None
    config: Object | None = None
    tags: Tags = Field(default_factory=list)
    parent_id: RunId | None = None
    budget: Object | None = None
    client: Object | None = None
    lease: float = Field(30.0, ge=1.0, le=86_400.0, description="seconds without a sign of life: it counts as crashed")
    kind: RunKind = "run"
    command: Object | None = Field(None, description="how a recorded script was started")


class RunChange(Given):
    """What to change; what is left out stays.  ``status`` ends the Run."""

    status: End | None = None
    reason: Annotated[Text, Field(max_length=2000)] | None = None
    name: Word | None = None
    description: Prose | None = None
    notes: Prose | None = None
    tags: Tags | None = None


class RunSums(Answer):
    """What a Run's calls add up to."""

    usd: str | None
    calls: int
    reused: int
    input_tokens: int
    output_tokens: int
    unpriced: int


class Run(Answer):
    """One tracked execution."""

    id: str
    project_id: str
    namespace_slug: str
    project_slug: str
    slug: str
    name: str
    description: str | None
    notes: str | None
    status: Status
    reason: str | None
    parent_id: str | None
    kind: RunKind
    config: dict[str, Any]
    tags: list[str]
    budget: dict[str, Any] | None
    client: dict[str, Any]
    created: float
    updated: float
    ended: float | None
    heartbeat: float
    user: User
    cost: RunSums


class Found(Answer):
    """A Run that was looked for."""

    run: Run
    command: dict[str, Any] | None = Field(description="how a recorded script was started")


class GraphRun(Answer):
    """A Run in a few words."""

    id: str
    name: str
    kind: RunKind
    project: str
    parent: str | None
    status: Status
    reason: str | None
    started: float
    finished: float | None
    calls: int = Field(description="of it and its parts")
    cost: str | None = Field(description="of it and its parts")


class Relative(GraphRun):
    """A part of a Run, or a repetition of it."""

    slug: str


class Family(Answer):
    """A Run with its parts."""

    run: Relative
    parts: list[Relative] = Field(description="its parts and their parts, each with its parent, as they were made")
    reruns: list[Relative] = Field(description="Runs that have it for a parent and are no parts of it")


class Stopped(Answer):
    """A process that was told to stop."""

    pid: int


class NewRerun(Given):
    """A recording that the server is to run again, on this machine."""

    env: Annotated[dict[str, str], AfterValidator(_config)] = Field(
        default_factory=dict, description="what the script needs of the environment besides: keys; not stored"
    )
    cache: bool = Field(True, description="answer recorded calls from the recording")


class Output(Answer):
    """The end of what a script printed that the server has started: output and errors, as they came."""

    text: str
    size: int = Field(description="bytes of all of it")
    left_out: int = Field(description="bytes that came before `text`")


class Command(Answer):
    """How a recorded script was started."""

    argv: list[str] = Field(description="what followed `ao-record`: the script or -m and a module, and its arguments")
    cwd: str | None
    interpreter: str | None
    host: str | None


class ModelSums(Answer):
    """The calls of a recording, and of its parts, to one model."""

    model: str
    calls: int = Field(description="live ones")
    reused: int = Field(description="those that a recording or an earlier call answered")
    errors: int
    input_tokens: int = Field(description="of live calls, as are the sums that follow")
    output_tokens: int
    usd: str | None
    unpriced: int
    seconds: float
    slowest: float


class Note(Answer):
    """Something that the script noted by `ao.log`."""

    key: int
    run: str
    name: str = Field(description="of the Run or part it was noted in")
    time: float
    entry: Any
    success: bool | None


class Marks(Answer):
    """How often a Run, or a part, has passed and failed by what it noted."""

    run: str
    passed: int
    failed: int


class MadeEdit(Answer):
    """A change that was noted for another run of the script."""

    call: str
    field: Literal["input", "output"]
    path: str
    value: Any
    removed: bool
    created: float


class ShownEdit(MadeEdit):
    """A change, with the call as it was recorded."""

    label: str | None
    location: str | None
    before: Any = Field(description="what was there; null where nothing was")


class Overview(Answer):
    """What there is to see of a recording first."""

    command: Command | None
    models: list[ModelSums]
    notes: list[Note] = Field(description="the latest ones, in the order they were noted")
    noted: int = Field(description="how many there are")
    marks: list[Marks]
    printed: int | None = Field(description="bytes that its script printed, if this server started it for the caller")
    edits: list[ShownEdit]


class GraphCall(Answer):
    """A call as a node."""

    id: str
    index: int = Field(description="its number in its Run, from 0")
    run: str
    label: str | None
    model: str | None
    api_format: str | None
    status: Literal["ok", "error"]
    error: str | None
    cached: bool = Field(description="an earlier call or a recording answered it: it cost nothing")
    edited: bool
    input: Any = Field(description="null where bodies were not asked for")
    output: Any
    usage: Any
    cost: str | None
    started: float
    finished: float
    location: str | None


class Place(Answer):
    """Characters of a leaf of a body."""

    path: str
    start: int
    end: int


class EdgeSpan(Answer):
    """Where the text was, and where it is."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True, validate_by_name=True)

    from_: Place = Field(alias="from")
    to: Place


class GraphEdge(Answer):
    """Text went from one call's output into another one's input."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True, validate_by_name=True)

    from_: str = Field(alias="from")
    to: str
    kind: Literal["content", "taint", "verified"]
    confidence: float
    weak: bool
    alternative: bool
    spans: list[EdgeSpan]


class Graph(Answer):
    """A Run as a graph, with its parts."""

    run: GraphRun
    calls: list[GraphCall]
    edges: list[GraphEdge]
    children: list[str]
    complete: bool = Field(description="whether the edges of all these calls are worked out; if not, ask again")


class NewEdit(Given):
    """What another run of the script is to change."""

    call: Word = Field(description="id of a call")
    field: Literal["input", "output"]
    path: Annotated[Text, Field(max_length=2000)] = Field(description="JSON pointer in the body; empty: all of it")
    value: Annotated[Any, AfterValidator(_config)] = None
    remove: bool = Field(False, description="take away what is there instead")


class Difference(Answer):
    """What became of a Run's calls in another run of the script: ids of calls."""

    replayed: list[str]
    edited: list[str]
    new: list[str] = Field(description="asked anew")
    missing: list[str] = Field(description="calls of the first Run that did not come again")
    reordered: list[str]


class ListedRun(Run):
    """A Run in a listing."""

    metrics: dict[str, Number] = Field(description="last values of the metrics asked for, as far as it has them")


class RunPage(Answer):
    """Some Runs of a project."""

    runs: list[ListedRun]
    cursor: str | None = Field(description="give it back to get the next; null: these were the last")
    total: int


class Beat(Answer):
    """The state of a Run that showed a sign of life."""

    status: Status


class Acknowledged(Answer):
    """How far a journal is stored."""

    acknowledged: int = Field(description="number of its last record that is stored")
    status: Status


class Hint(Answer):
    """Data of the event ``changed`` of a live stream: what of a Run to read again."""

    run_id: str
    what: list[What]
    status: Status | None = Field(None, description="the status now, if it changed")


class ProjectMetric(Answer):
    """A metric that Runs of a project have."""

    name: str
    runs: int = Field(description="how many of the newest 500 Runs have it")


class MetricName(Answer):
    """One metric of a Run."""

    name: str
    count: int
    last: Number
    last_step: int | None
    last_time: float
    min: Number | None = Field(description="of the finite values")
    max: Number | None


Point = tuple[int | None, float, Number]
Bucket = tuple[int | None, int | None, float, Number | None, Number | None, Number | None, int]


class Metric(Answer):
    """The values of a metric: its points, or (where ``buckets`` was asked for) summaries of them."""

    name: str
    count: int = Field(description="how many points it has by now; give it back as `after` to get what follows")
    points: list[Point] | None = Field(None, description="[step, time, value]")
    buckets: list[Bucket] | None = Field(None, description="[first step, last step, time, min, max, mean, count]")


class StoredText(Answer):
    """A logged value that is no number."""

    key: int
    name: str
    type: Literal["text", "table", "json", "image"]
    step: int | None
    time: float
    value: Any


class ListedCall(Answer):
    """An LM call, without its request and response."""

    key: int
    job_id: str | None
    request_key: str
    role: str
    phase: str
    node: str
    words: str
    provider: str
    host: str
    model: str
    source: str
    attempts: int
    started: float
    seconds: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated: bool
    usd: str | None
    call_id: str | None = Field(description="a recorder's name for it")
    label: str | None
    location: str | None = Field(description="the line of a recorded script that made it, as file:line")
    error: str | None = Field(description="what it ended with, where it has no answer")
    edited: bool = Field(description="in a rerun: whether its request or answer was changed")


class Call(ListedCall):
    """An LM call, whole."""

    format: Any = None
    path: Any = None
    status: Any = None
    request: Any = None
    response: Any = None
    usage: Any = None
    cost: Any = None
    request_id: Any = None
    record: dict[str, Any]


CallPage = list[ListedCall]


class Sums(Answer):
    """Calls, tokens and dollars of live calls; ``reused`` counts those an earlier call answered."""

    calls: int
    reused: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usd: str | None
    unpriced: int
    estimated: int
    seconds: float


class CostRow(Sums):
    """The sums of one role, phase and model."""

    role: str
    phase: str
    model: str


class Limit(Answer):
    """A limit of a Run's budget.  Dollars are exact decimal strings."""

    name: Literal["usd", "tokens", "calls", "seconds"]
    limit: str | float
    spent: str | float
    share: float = Field(description="spent / limit; 1 where the limit is 0")


class Cost(Answer):
    """What a Run costs."""

    total: Sums
    by: list[CostRow]
    parts: int = Field(description="how many parts a recording has, and their parts")
    whole: RunSums = Field(description="the sums of the Run and of all its parts; ``total`` is of its own calls alone")
    budget: list[Limit] = Field(description="the limits of its budget; none where it has none")


class Prompt(Answer):
    """One version of a parameter's value."""

    key: int
    parameter: str
    role: str
    version: int
    value: Any
    status: Literal["initial", "proposed", "kept", "undone"]
    reasoning: str
    gradients: list[Any]
    score_before: Number | None
    score_after: Number | None
    step: int | None
    time: float


class Event(Answer):
    """Something that happened in a Run."""

    key: int
    kind: str
    time: float
    data: Any


class ArtifactFile(Answer):
    """One file of an artifact."""

    path: str
    sha256: str
    size: int


class Artifact(Answer):
    """One version of an artifact."""

    name: str
    version: int
    kind: str
    size: int
    digest: str
    created: float
    files: list[ArtifactFile]


class Stored(Answer):
    """A blob that is stored."""

    sha256: str
    size: int
