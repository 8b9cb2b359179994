"""The LM loop and the two drivers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from afnio.calls import adrive, drive, hop, run_async, run_inline, run_sync, user
from afnio.calls.loop import in_thread
from afnio.errors import AfnioError

mark: ContextVar[str] = ContextVar("mark", default="none")


async def where() -> str:
    return threading.current_thread().name


def by_adrive(core: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(adrive(core))


both = pytest.mark.parametrize("driver", [drive, by_adrive])
Driver = Callable[[Coroutine[Any, Any, Any]], Any]


def test_results_and_errors_come_back() -> None:
    async def fail() -> None:
        raise ValueError("as it was")

    assert run_sync(where()) == "afnio-lm-loop"
    assert asyncio.run(run_async(where())) == "afnio-lm-loop"
    with pytest.raises(ValueError, match="as it was"):
        run_sync(fail())
    with pytest.raises(ValueError, match="as it was"):
        asyncio.run(run_async(fail()))


def test_context_variables_of_the_caller_are_seen() -> None:
    async def look() -> str:
        return mark.get()

    async def everywhere() -> list[Any]:
        core = both_ways()
        return [await run_async(look()), await adrive(core)]

    async def both_ways() -> list[str]:
        return [await hop(look()), await user(mark.get), await hop(in_thread(mark.get))]

    token = mark.set("mine")
    try:
        assert run_sync(look()) == "mine"
        assert drive(both_ways()) == ["mine"] * 3
        assert asyncio.run(everywhere()) == ["mine", ["mine"] * 3]
    finally:
        mark.reset(token)


def test_it_works_inside_a_running_loop_as_in_a_notebook() -> None:
    async def cell() -> str:
        return run_sync(where())

    assert asyncio.run(cell()) == "afnio-lm-loop"


def test_waiting_on_the_lm_loop_for_itself_is_refused() -> None:
    async def sync_call_in_async_code() -> str:
        return run_sync(where())

    with pytest.raises(AfnioError, match="use the async form"):
        run_sync(sync_call_in_async_code())


def test_async_on_the_lm_loop_runs_at_once() -> None:
    assert run_sync(run_async(where())) == "afnio-lm-loop"
    assert run_sync(adrive(_core())) == "afnio-lm-loop"


async def _core() -> str:
    return await hop(where())


def test_run_inline() -> None:
    async def value() -> int:
        return 7

    assert run_inline(value()) == 7
    with pytest.raises(AfnioError, match="inline = False"):
        run_inline(asyncio.sleep(0))


@both
def test_commands_give_results_and_errors(driver: Driver) -> None:
    async def fail() -> None:
        raise KeyError("from the loop")

    def fail_here() -> None:
        raise ValueError("from the user")

    async def core() -> list[Any]:
        seen: list[Any] = [await hop(where()), await user(max, 3, 5), await user(where)]
        for command in (hop(fail()), user(fail_here)):
            try:
                await command
            except (KeyError, ValueError) as error:
                seen.append(error.args[0])
        return seen

    first, *rest = driver(core())
    assert first == "afnio-lm-loop"
    assert rest[0] == 5
    assert rest[2:] == ["from the loop", "from the user"]


@both
def test_errors_of_the_core_come_out(driver: Driver) -> None:
    async def core() -> None:
        await hop(where())
        raise RuntimeError("the core's own")

    with pytest.raises(RuntimeError, match="the core's own"):
        driver(core())


@both
def test_awaiting_anything_else_is_explained(driver: Driver) -> None:
    async def core() -> None:
        await asyncio.sleep(0)

    with pytest.raises(AfnioError, match="which is no command"):
        driver(core())


def test_users_functions_run_where_users_expect() -> None:
    async def core() -> list[str]:
        return [await user(lambda: threading.current_thread().name), await user(where)]

    here = threading.current_thread().name
    assert drive(core()) == [here, "afnio-lm-loop"]
    plain, coroutine = asyncio.run(adrive(core()))
    assert plain.startswith("asyncio_"), "a plain function does not block the caller's loop"
    assert coroutine == here, "a coroutine runs in the caller's loop"


def test_a_lambda_that_returns_a_coroutine_is_awaited_in_the_callers_loop() -> None:
    async def core() -> str:
        return str(await user(lambda: where()))

    assert asyncio.run(adrive(core())) == threading.current_thread().name


def test_cancelling_goes_through_and_waits_for_the_clean_up() -> None:
    seen: list[str] = []

    async def on_loop(started: threading.Event) -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("loop side cleaned up")

    async def core(started: threading.Event) -> None:
        try:
            await hop(on_loop(started))
        finally:
            seen.append("core cleaned up")
            seen.append(await hop(where()))

    async def main() -> None:
        started = threading.Event()
        task = asyncio.create_task(adrive(core(started)))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["loop side cleaned up", "core cleaned up", "afnio-lm-loop"]


def test_ctrl_c_cancels_the_loop_side_and_reaches_the_core() -> None:
    seen: list[str] = []

    async def on_loop() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            seen.append("loop side cleaned up")

    async def core() -> None:
        try:
            await hop(on_loop())
        except KeyboardInterrupt:
            seen.append("core told")
            seen.append(await hop(where()))
            raise

    with pytest.raises(KeyboardInterrupt):
        drive(core())
    assert seen == ["loop side cleaned up", "core told", "afnio-lm-loop"]
    assert run_sync(where()) == "afnio-lm-loop"


def test_an_exit_raised_on_the_loop_reaches_the_caller_and_the_loop_lives() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run_sync(leave())
    assert run_sync(where()) == "afnio-lm-loop"


def test_many_threads_share_the_loop() -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(run_sync(where()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["afnio-lm-loop"] * 20


def test_many_blocking_functions_at_once() -> None:
    gate = threading.Barrier(100)

    async def all_of_them() -> int:
        return len(await asyncio.gather(*[in_thread(gate.wait, timeout=150) for _ in range(100)]))

    assert run_sync(all_of_them()) == 100


def _in_child(queue: Any) -> None:
    queue.put((run_sync(where()), os.getpid()))


def test_after_a_fork_the_child_has_its_own_loop() -> None:
    script = """
import os, asyncio
from afnio.calls import run_sync
async def pid(): return os.getpid()
assert run_sync(pid()) == os.getpid()
child = os.fork()
if child == 0:
    assert run_sync(pid()) == os.getpid()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert run_sync(pid()) == os.getpid()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=150)


def test_a_spawned_process_works_too() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=150)[0] == "afnio-lm-loop"
    child.join()


def test_importing_starts_nothing() -> None:
    script = """
import sys, threading
import afnio.calls, afnio.models, afnio.models.openai
assert threading.active_count() == 1
heavy = {"asyncio", "aiohttp", "pydantic", "openai", "genai_prices", "tenacity", "rich", "ssl", "orjson", "tiktoken"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=150)


def test_a_call_made_while_the_process_ends_is_answered_or_an_error_never_a_hang() -> None:
    script = """
import asyncio, atexit
from afnio.calls import run_sync
async def answer(): return "answered"
def last():
    try: print(run_sync(answer()))
    except RuntimeError: print("answered")  # Python 3.12 starts no thread any more
atexit.register(last)
run_sync(answer())
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=150)
    assert result.stdout == "answered\n"


def test_tasks_left_over_are_ended_at_exit() -> None:
    script = """
import asyncio, threading
from afnio.calls import run_sync
kept = []
async def background():
    try: await asyncio.Event().wait()
    finally: print("ended", flush=True)
async def start():
    kept.append(asyncio.create_task(background())); await asyncio.sleep(0)
run_sync(start())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=150)
    assert (result.stdout, result.stderr) == ("ended\n", "")


def test_a_connection_opened_while_the_process_ends_is_closed_with_the_others() -> None:
    script = """
import asyncio
from afnio.calls import loop, run_sync
kept = []
async def closed(): print("closed", flush=True)
async def background():
    try: await asyncio.Event().wait()
    finally:
        loop.on_exit(closed)
        print(loop._current() is kept[0], flush=True)
async def start():
    kept[:] = loop._current(), asyncio.create_task(background())
    await asyncio.sleep(0)
run_sync(start())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=150)
    assert (result.stdout, result.stderr) == ("True\nclosed\n", "")
