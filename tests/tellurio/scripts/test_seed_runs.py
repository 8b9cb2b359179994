"""The examples of the page "Runs and Experiments", run as they stand there: they print what the page says.

Host, name and number of a Run are its own, but its name and its address agree.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from tests.tellurio.scripts.machine import Home

CREATING_A_RUN = """
    import afnio.tellurio as te

    run = te.init(
        namespace_slug="username_or_org",
        project_display_name="My Project",
        description="Prompt tuning for sentiment agent",
    )

    # run forward/backward logic here
    print("Running experiment...")

    # When you create a Run programmatically, call `run.finish()` to mark it
    # COMPLETED on the server and to clear the active Run from the current process.
    run.finish()
"""
CREATING_A_RUN_OUTPUT = """
    INFO : Project with slug 'my-project' does not exist in namespace 'username_or_org'. Creating it now with RESTRICTED visibility.
    INFO : Run 'hungry_brownie_557' created successfully at: https://platform.tellurio.ai/username_or_org/projects/my-project/runs/hungry-brownie-557/
    Running experiment...
    INFO : Run 'hungry_brownie_557' marked as COMPLETED.
"""  # noqa: E501 - as they are

CONTEXT_MANAGER = """
    import afnio.tellurio as te

    with te.init("username_or_org", "my-project") as run:
        # run forward/backward logic here
        print("Running experiment...")

    # when the with-block exits, the Run is marked COMPLETED
"""
CONTEXT_MANAGER_OUTPUT = """
    INFO : Project with slug 'my-project' already exists in namespace 'username_or_org'.
    INFO : Run 'focused_halloumi_666' created successfully at: https://platform.tellurio.ai/username_or_org/projects/my-project/runs/focused-halloumi-666/
    Running experiment...
    INFO : Run 'focused_halloumi_666' marked as COMPLETED.
"""

LOGGING = """
    import afnio.tellurio as te

    with te.init("username_or_org", "my-project") as run:
        # Log some metrics
        run.log("train_loss", 0.23, step=3)
        run.log("val_accuracy", 0.87, step=3)
"""
LOGGING_OUTPUT = """
    INFO : Project with slug 'my-project' already exists in namespace 'username_or_org'.
    INFO : Run 'vigilant_pho_308' created successfully at: https://platform.tellurio.ai/username_or_org/projects/my-project/runs/vigilant-pho-308/
    INFO : Logged metric 'train_loss'=0.23 for run 'vigilant_pho_308'.
    INFO : Logged metric 'val_accuracy'=0.87 for run 'vigilant_pho_308'.
    INFO : Run 'vigilant_pho_308' marked as COMPLETED.
"""

EXAMPLES = [
    (CREATING_A_RUN, CREATING_A_RUN_OUTPUT),
    (CONTEXT_MANAGER, CONTEXT_MANAGER_OUTPUT),
    (LOGGING, LOGGING_OUTPUT),
]


def generic(output: str) -> list[str]:
    """The lines, with one host and one name of a Run for all."""
    text = re.sub(r"https?://[^/\s]+", "HOST", dedent(output).strip())
    found = re.search(r"Run '([a-z]+_[a-z]+_([1-9]\d{0,2}))'", text)
    assert found, output
    return text.replace(found[1], "NAME").replace(found[1].replace("_", "-"), "SLUG").splitlines()


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text(dedent(text).strip() + "\n")
    return path


def read_back(home: Home, tmp_path: Path, code: str) -> str:
    done = home.run(script(tmp_path, "import afnio.tellurio as te\napi = te.Api()\n" + dedent(code)))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_examples_print_what_the_page_says(home: Home, tmp_path: Path) -> None:
    """In the order of the page: the first makes the project that the others find."""
    for text, output in EXAMPLES:
        done = home.run(script(tmp_path, text), together=True)
        assert done.returncode == 0, done.stdout
        assert generic(done.stdout) == generic(output)
    statuses = read_back(
        home,
        tmp_path,
        """
        runs = list(api.runs("username_or_org/my-project", sort="created"))
        print([run.status for run in runs])
        print(runs[0].description)
        print([(name, [point["value"] for point in runs[2].metrics(name)], [point["step"] for point in
            runs[2].metrics(name)]) for name in ("train_loss", "val_accuracy")])
        """,
    )
    assert statuses.splitlines() == [
        "['COMPLETED', 'COMPLETED', 'COMPLETED']",
        "Prompt tuning for sentiment agent",
        "[('train_loss', [0.23], [3]), ('val_accuracy', [0.87], [3])]",
    ]


STATES = {
    "running-then-completed": (  # "RUNNING: when entering a with block", "COMPLETED: exit it without an exception"
        """
        with te.init("username_or_org", project) as run:
            print(te.Api().run(f"username_or_org/{project}/{run.slug}").status)
        """,
        0,
        ["COMPLETED"],
    ),
    "another-status": (  # "Marks the Run as COMPLETED (or another status you pass)"
        """
        run = te_run.init("username_or_org", project)
        run.finish(status=te_run.RunStatus.FAILED)
        print("RUNNING")
        """,
        0,
        ["FAILED"],
    ),
    "crashed-in-a-block": (  # "CRASHED: set automatically by the context manager ... when an exception occurs"
        """
        with te_run.init("username_or_org", project) as run:
            print("RUNNING")
            raise RuntimeError("no")
        """,
        1,
        ["CRASHED"],
    ),
    "crashed-at-exit": (  # "... or the atexit/exit handler"
        """
        run = te.init("username_or_org", project)
        print("RUNNING")
        raise RuntimeError("no")
        """,
        1,
        ["CRASHED"],
    ),
    "replaced": (  # "FAILED: set by the safeguard when a previous active Run is replaced"
        """
        te.init("username_or_org", project)
        te.init("username_or_org", project)
        print("RUNNING")
        """,
        0,
        ["FAILED", "COMPLETED"],
    ),
}


@pytest.mark.parametrize("project", STATES)
def test_the_states_of_the_table_are_set_as_it_says(home: Home, tmp_path: Path, project: str) -> None:
    text, code, statuses = STATES[project]
    head = f"import afnio.tellurio as te\nimport afnio.tellurio.run as te_run\n\nproject = {project!r}\n"
    done = home.run(script(tmp_path, head + dedent(text)), together=True)
    assert done.returncode == code, done.stdout
    assert "RUNNING" in done.stdout
    assert (
        read_back(
            home, tmp_path, f"print(*[run.status for run in api.runs('username_or_org/{project}', sort='created')])"
        ).split()
        == statuses
    )


NEEDS_A_RUN = """
    import afnio
    from afnio.models.scripted import Scripted
    from afnio.optim import TGD
    from afnio.trainer import Trainer
    import afnio.cognitive as cog
    import afnio.cognitive.functional as F

    client = Scripted(["no"])


    class Agent(cog.Module):
        def __init__(self):
            super().__init__()
            self.prompt = cog.Parameter("Say yes.", role="prompt")

        def training_step(self, batch, batch_idx):
            messages = [{{"role": "user", "content": [self.prompt]}}]
            return F.exact_match_evaluator(F.chat_completion(client, messages), "yes")

        def configure_optimizers(self):
            return TGD(self.parameters(), model_client=client)


    agent = Agent()
    optimizer = agent.configure_optimizers()
    {operation}
"""


@pytest.mark.parametrize(
    "operation",
    [
        "optimizer.clear_grad()",
        "optimizer.step()",
        "Trainer(enable_checkpointing=False).fit(agent, train_dataloader=[0])",
        "agent.training_step(None, 0)[1].backward()",
        "agent.training_step(None, 0).backward()",
    ],
)
def test_without_an_active_run_what_optimizes_fails_and_says_what_to_call(
    home: Home, tmp_path: Path, operation: str
) -> None:
    done = home.run(script(tmp_path, dedent(NEEDS_A_RUN).format(operation=operation)))
    assert done.returncode == 1
    assert "needs an active Run, and there is none. Call afnio.tellurio.init(...)" in done.stderr.splitlines()[-1]
