"""How a fit ends: by itself, by its budget, by Ctrl-C or SIGTERM, or by an error; the callbacks are told."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from afnio.errors import BudgetExceeded
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.fit import Fit

__all__ = ["Terminable", "Terminated", "ending"]

logger = logging.getLogger("afnio.trainer")


class Terminated(SystemExit):
    """The process was asked to end, by SIGTERM: the fit cleans up first."""


@contextmanager
def ending(fit: Fit, tell: Chorus, terminable: Terminable) -> Iterator[None]:
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
        fit.stop("terminated by SIGTERM." if terminable.asked else f"{type(error).__name__}: {error}")
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


class Terminable:
    """A ``with`` block in which SIGTERM raises `Terminated` where the fit is; when the block is left, the signal is
    given on to whom it was for.

    A program that handles the signal itself is left alone; a Run's handler, which ends it and the process, is not.

    Attributes:
        asked: whether the signal came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGTERM)
            if before is signal.SIG_DFL or getattr(before, "ends_the_process", False):
                self._before = before
                signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            return
        signal.signal(signal.SIGTERM, self._before)
        if self.asked:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os.kill(os.getpid(), signal.SIGTERM)

    def _terminate(self, number: int, frame: Any) -> None:
        self.asked = True
        raise Terminated(128 + number)
