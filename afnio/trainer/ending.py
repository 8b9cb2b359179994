"""How a fit ends: by itself, by its budget, by Ctrl-C, or by an error; the callbacks are told in any case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from afnio.errors import BudgetExceeded
from afnio.trainer.callbacks.chorus import Chorus
from afnio.trainer.fit import Fit

__all__ = ["ending"]


@contextmanager
def ending(fit: Fit, tell: Chorus) -> Iterator[None]:
    """Turn a used-up budget and Ctrl-C into a clean end; a second Ctrl-C goes through."""
    try:
        yield
    except BudgetExceeded as error:
        fit.stop(str(error))
    except KeyboardInterrupt:
        fit.interrupted = True
        fit.stop("interrupted by Ctrl-C.")
    except BaseException as error:
        fit.interrupted = not isinstance(error, Exception)  # cancelled
        fit.stop(f"{type(error).__name__}: {error}")
        if fit.checkpoint is not None:
            error.add_note(f"All that was done is saved. Go on with fit(..., ckpt_path='last'): {fit.checkpoint}")
        raise
    finally:
        fit.costs.collect()
        tell.on_fit_end(fit)
