"""The tutorials run: as scripts, as notebooks, on the simulation and on any endpoint an environment variable names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afnio.models.lm_server import LMServer
from scripts import notebooks
from tests.tellurio.scripts.machine import Home

RUNNER = Path(__file__).with_name("run_scripts.py")
SAYS = {  # what each of them comes to on the simulation
    "01_loop_by_hand": r"\d\d of 60 new tickets right",
    "02_trainer": r"undone(.|\n)*Test accuracy: 0\.55 -> (0\.9|1\.0)(.|\n)*Gone on to epoch 2",
    "03_facility_support": r"SupportTickets, made-up ones, take its place(.|\n)*loss +2\.\d+ -> (2\.9|3\.0)",
    "04_custom_function": r"gradcheck: True\nGradcheckError(.|\n)*\['high', 'low'\] after a step",
    "05_lm_judge": r"On 30 new tickets: (0\.9|1\.0)",
    "06_tool_agent": r"20 new questions: [34]\d% -> (9\d|100)% right",
    "07_typed_outputs": r"(29|30) of 30 new tickets wholly right(.|\n)*ReplyContractError after 3 calls",
    "08_optimizers_compared": r"Evolution +9\d%(.|\n)*FewShot +7\d%(.|\n)*untrained +55%",
    "09_tracking_runs": r" 48 +(9\d|100)% +\d+\n(.|\n)*Open it: tellurio open tutorials/how-many-tickets/",
}

# In a notebook each cell is run by itself, in one namespace, while an event loop runs: as IPython does it, which is no
# dependency of ours.
AS_NOTEBOOK = """
import asyncio, json, sys
from pathlib import Path

async def run(cells):
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"<cell {{number}}>", "exec"), globals())

asyncio.run(run(json.loads(Path({path!r}).read_text(encoding="utf-8"))["cells"]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A machine of one's own, where FacilitySupport cannot be downloaded; its server is stopped at the end."""
    home = Home(tmp_path_factory.mktemp("machine") / "tellurio")
    yield home
    if home.folder.exists():
        assert home.tellurio("down").returncode == 0


def run(home: Home, folder: Path, scripts: list[Path], **env: str) -> dict[str, str]:
    """Name -> what it printed."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    (data / "dataset.json").write_text("not the data set")
    given = home.environment(AFNIO_DATA_HOME=str(data), PYTHONPATH=str(RUNNER.parents[1]), **env)
    command = [sys.executable, "-P", "-W", "error", str(RUNNER), *map(str, scripts)]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    for script in scripts:
        told = Path(f"{script}.all").read_text(encoding="utf-8")
        assert Path(f"{script}.code").read_text() == "0", f"{script.name}:\n{told}"
    return {script.stem: Path(f"{script}.out").read_text(encoding="utf-8") for script in scripts}


def copies(folder: Path, name: str) -> list[Path]:
    """The tutorials, copied: what they print is written beside them."""
    (folder / name).mkdir(exist_ok=True)
    found = []
    for script in notebooks.TUTORIALS:
        found.append(folder / name / script.name)
        found[-1].write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def printed(home: Home, folder: Path) -> dict[str, str]:
    """What each script prints without a key."""
    return run(home, folder, copies(folder, "scripts"))


@pytest.fixture(scope="module")
def printed_by_notebooks(home: Home, folder: Path) -> dict[str, str]:
    """What the cells of each notebook print without a key."""
    (folder / "notebooks").mkdir()
    scripts = []
    for script in notebooks.TUTORIALS:
        scripts.append(folder / "notebooks" / script.name)
        scripts[-1].write_text(AS_NOTEBOOK.format(path=str(notebooks.notebook_of(script))), encoding="utf-8")
    return run(home, folder, scripts)


def test_there_is_a_test_for_each() -> None:
    assert {script.stem for script in notebooks.TUTORIALS} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_a_script_runs_without_a_key_and_says_what_answers(printed: dict[str, str], name: str) -> None:
    assert "It is a simulation, not an AI." in printed[name]
    assert re.search(SAYS[name], printed[name]), printed[name]


@pytest.mark.parametrize("name", SAYS)
def test_a_notebook_prints_what_its_script_prints(
    printed: dict[str, str], printed_by_notebooks: dict[str, str], name: str
) -> None:
    chance = re.compile(r"\b[a-z]+([_-])[a-z]+\1\d+ *")  # names of Runs
    script, cells = (chance.sub("RUN ", told[name]) for told in (printed, printed_by_notebooks))
    assert cells == script


@pytest.mark.parametrize("script", notebooks.TUTORIALS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_script_says(script: Path) -> None:
    path = notebooks.notebook_of(script)
    assert path.read_text(encoding="utf-8") == notebooks.notebook(script), f"{path.name}: run {notebooks.WRITE}"


def test_no_notebook_is_left_over() -> None:
    assert set(notebooks.FOLDER.iterdir()) == {notebooks.notebook_of(script) for script in notebooks.TUTORIALS}


@pytest.mark.parametrize("script", notebooks.TUTORIALS, ids=lambda path: path.stem)
def test_a_notebook_has_the_form_that_jupyter_reads(script: Path) -> None:
    """The schema of nbformat 4.5, as far as these go."""
    found: dict[str, Any] = json.loads(notebooks.notebook_of(script).read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    assert found["cells"][0]["cell_type"] == "markdown"
    assert found["cells"][0]["source"][0].startswith("# Tutorial ")
    for cell in found["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert all(isinstance(line, str) for line in cell["source"])
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            compile("".join(cell["source"]), "cell", "exec")


@pytest.mark.parametrize(("world", "name"), [("tickets", "05_lm_judge"), ("shop", "06_tool_agent")])
def test_an_environment_variable_is_all_that_changes_for_another_endpoint(
    world: str, name: str, home: Home, folder: Path
) -> None:
    script = next(script for script in copies(folder, world) if script.stem == name)
    with LMServer(world, bad_share=0) as server:
        told = run(home, folder, [script], OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="a-key", AFNIO_MODEL="m")
        assert server.stats(rows=False)["calls"] > 60
    assert "simulation, not an AI" not in told[name]
    assert re.search(SAYS[name], told[name]), told[name]


def test_an_endpoint_that_is_not_there_is_one_clear_error(home: Home, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment |= {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    command = [sys.executable, str(notebooks.TUTORIALS[0])]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 1
    assert "APIUnreachableError: Cannot reach http://127.0.0.1:9/v1" in done.stderr.splitlines()[-1]


def test_a_script_without_cells_makes_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "10_nothing.py").write_text('"""A title."""\nprint()\n')
    with pytest.raises(ValueError, match="has cells"):
        notebooks.notebook(tmp_path / "10_nothing.py")
