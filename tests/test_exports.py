"""The public API is a list, and importing it is cheap: nothing heavy, no file, no thread, no handler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import afnio

REPO = Path(__file__).parents[1]

KNOWN = {  # scripts written for afnio use these
    *("GradientEdge", "MultiTurnMessages", "Node", "Variable", "_validate_multi_turn_messages"),
    *("_validate_typed_sequence", "autodiff", "cognitive", "functional", "get_backward_model_client"),
    *("is_grad_enabled", "load", "no_grad", "optim", "save", "set_backward_model_client", "set_grad_enabled", "utils"),
}
ADDED = {"Budget", "CallLog", "EngineSettings", "Loss", "enable_grad", "local_engine"}
ADDED |= {"Choice", "Demos", "Number"}

PATHS = [  # where scripts import things from
    *("afnio._variable:Variable", "afnio._variable:is_variable", "afnio.cognitive.parameter:Parameter"),
    *("afnio.cognitive:Module", "afnio.cognitive.functional:chat_completion", "afnio.autodiff:backward"),
    *("afnio.models.openai:OpenAI", "afnio.models.openai:AsyncOpenAI", "afnio.models.model_registry:MODEL_REGISTRY"),
    *("afnio.trainer:Trainer", "afnio.optim:TGD", "afnio.optim:Optimizer", "afnio.serialization:save"),
    *(
        "afnio.utils.data:DataLoader",
        "afnio.utils.data:WeightedRandomSampler",
        "afnio.logging_config:configure_logging",
    ),
    *("afnio.utils.datasets:FacilitySupport", "afnio.utils.datasets:SupportTickets", "afnio.utils.datasets:TREC"),
    *("afnio.models.scripted:Scripted", "tellurio.cli:main", "tellurio.cli.server:main"),
    *("afnio.tellurio.run:init", "afnio.tellurio.run:Run", "afnio.tellurio.run:RunStatus"),
    *("afnio.tellurio.run_context:set_active_run", "afnio.tellurio.run_context:get_active_run"),
    *("afnio.tellurio.project:Project", "afnio.tellurio.project:get_project", "afnio.tellurio.project:create_project"),
    *("afnio.tellurio.project:delete_project", "afnio.tellurio.client:InvalidAPIKeyError"),
    "afnio.tellurio.consent:check_consent",
    *("afnio.models.anthropic:Anthropic", "afnio.models.anthropic:AsyncAnthropic", "afnio.models.paths:model_at"),
    *("afnio.content:image", "afnio.optim:Evolution", "afnio.optim:FewShot", "afnio.cognitive:ToolLoop"),
    *("ao.runner.context_manager:ao_record", "ao.runner.context_manager:ao_launch", "ao:record", "ao:launch", "ao:log"),
    *("ao.runner.string_matching:find_source_nodes", "ao.runner.string_matching:store_output_strings"),
    *("ao.dialects:register", "tellurio.dataflow:ContentIndex"),
]

TELLURIO = {  # the first five are what scripts use
    *("configure_logging", "init", "log", "login", "suppress_variable_notifications"),
    *("Api", "Project", "Run", "RunStatus"),
}

HEAVY = {
    *("aiohttp", "openai", "anthropic", "httpx", "httpx2", "pydantic", "genai_prices", "rich", "typer", "tiktoken"),
    *("ssl", "asyncio", "IPython", "sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "orjson", "fsspec"),
}


def test_the_public_names_are_these() -> None:
    assert set(afnio.__all__) == KNOWN | ADDED
    assert [name for name in afnio.__all__ if not hasattr(afnio, name)] == []


def test_functional_is_cognitive_functional() -> None:
    assert afnio.functional is afnio.cognitive.functional


@pytest.mark.parametrize("path", PATHS)
def test_old_import_paths_work(path: str) -> None:
    module, name = path.split(":")
    assert hasattr(__import__(module, fromlist=[name]), name)


def test_the_names_of_tellurio_are_these() -> None:
    assert set(afnio.tellurio.__all__) == TELLURIO
    assert set(dir(afnio.tellurio)) > TELLURIO
    assert [name for name in TELLURIO if not hasattr(afnio.tellurio, name)] == []
    assert afnio.tellurio.run.init is afnio.tellurio.init
    with pytest.raises(AttributeError, match="module 'afnio.tellurio' has no attribute 'finish'"):
        _ = afnio.tellurio.finish
    with afnio.tellurio.suppress_variable_notifications():
        assert afnio.Variable("x", "r").data == "x"


WATCHER = """
import json, os, sys
effects = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        effects.append(f"opened {arguments[0]} for writing")
    elif event in ("os.mkdir", "os.remove", "os.rename") or event.startswith(("_thread.", "socket.", "subprocess.")):
        effects.append(f"{event} {arguments}")
sys.addaudithook(watch)
before = dict(os.environ)
for name in sys.argv[1:]:
    __import__(name)
effects = [*effects, *(["changed os.environ"] if dict(os.environ) != before else [])]
import logging, signal, threading, warnings
handlers = [str(h) for name in (None, "afnio", "ao", "tellurio") for h in logging.getLogger(name).handlers]
print(json.dumps({"modules": sorted(sys.modules), "effects": effects, "handlers": handlers,
                  "threads": threading.active_count()}))
"""


def imported(*modules: str, folder: Path) -> dict[str, Any]:
    """What a fresh interpreter says after importing ``modules`` in an empty folder."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHER, *modules],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(REPO), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_import_afnio_loads_nothing_heavy(tmp_path: Path) -> None:
    loaded = {name.partition(".")[0] for name in imported("afnio", folder=tmp_path)["modules"]}
    assert loaded & HEAVY == set()
    ours = {"afnio", "__main__", "sitecustomize", "usercustomize"}
    assert {name for name in loaded - sys.stdlib_module_names - ours if not name.startswith(("_", "test"))} == set()


def test_what_costs_milliseconds_is_loaded_when_it_is_used(tmp_path: Path) -> None:
    bare, loaded = (set(imported(name, folder=tmp_path)["modules"]) for name in ("sys", "afnio"))
    costly = {"afnio.serialization", "zipfile", "hashlib", "random", "queue", "pickle"}
    assert (loaded - bare) & costly == set()
    assert {"load", "save", "serialization", "trainer"} <= set(dir(afnio))
    assert afnio.save is afnio.serialization.save


def test_import_afnio_tellurio_loads_the_client_when_it_is_used(tmp_path: Path) -> None:
    loaded = imported("afnio.tellurio", folder=tmp_path)["modules"]
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert [name for name in loaded if name.startswith("tellurio")] == []


@pytest.mark.parametrize(
    "module",
    [
        *("afnio", "afnio.trainer", "afnio.utils.datasets", "afnio.models.openai", "afnio.models.scripted"),
        *("afnio.tellurio", "afnio.tellurio.run", "afnio.tellurio.project", "afnio.tellurio.client"),
        *("afnio.tellurio.consent", "afnio.tellurio.run_context", "tellurio.client.api"),
    ],
)
def test_imports_have_no_effects(module: str, tmp_path: Path) -> None:
    found = imported(module, folder=tmp_path)
    assert (found["effects"], found["handlers"], found["threads"]) == ([], [], 1)
    assert list(tmp_path.iterdir()) == []
    assert not {name.partition(".")[0] for name in found["modules"]} & HEAVY


def test_the_watcher_sees_effects(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import logging, threading\nopen('x', 'w').close()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\nlogging.basicConfig()\n"
    )
    found = imported("busy", folder=tmp_path)
    assert any("for writing" in effect for effect in found["effects"])
    assert found["threads"] == 2
    assert found["handlers"]
