"""How a fit ends: by itself, by its budget, by Ctrl-C or SIGTERM, or by an error; the callbacks are told."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from afnio.errors import BudgetExceeded
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.fit import Fit

__all__ = ["Terminated", "ending", "terminable"]

logger = logging.getLogger("afnio.trainer")


class Terminated(SystemExit):
    """The process was asked to end, by SIGTERM: it cleans up and ends with the code a shell expects."""


@contextmanager
def ending(fit: Fit, tell: Chorus) -> Iterator[None]:
    """Turn a used-up budget and Ctrl-C into a clean end; a second Ctrl-C goes through."""
    raised: BaseException | None = None
    try:
        yield
    except BudgetExceeded as error:
        fit.stop(str(error))
    except KeyboardInterrupt as error:
        fit.interrupted = True
        fit.stop("interrupted by Ctrl-C.")
        tell.on_exception(fit, error)
    except BaseException as error:
        raised = error
        fit.interrupted = not isinstance(error, Exception)  # cancelled, terminated
        fit.stop("terminated by SIGTERM." if isinstance(error, Terminated) else f"{type(error).__name__}: {error}")
        if fit.checkpoint is not None:
            error.add_note(f"All that was done is saved. Go on with fit(..., ckpt_path='last'): {fit.checkpoint}")
        tell.on_exception(fit, error)
        raise
    finally:
        fit.costs.collect()
        _tell_end(fit, tell, raised)


def _tell_end(fit: Fit, tell: Chorus, raised: BaseException | None) -> None:
    """Tell of the end; what a callback raises then must not hide what ended the fit."""
    try:
        tell.on_fit_end(fit)
    except Exception as error:
        if raised is None:
            raise
        logger.warning("%s", " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]))


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises `Terminated` where the fit is, unless the program handles that signal itself."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not mine:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated(128 + number)
