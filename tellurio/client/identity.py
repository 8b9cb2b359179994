"""Who is installed here: the names ``afnio`` and ``ao`` belong to us, and to other people's packages too."""

from __future__ import annotations

from functools import cache

from afnio.errors import TellurioError

__all__ = ["check_installation"]

_THEIRS = {"afnio": "afnio", "ao-dev": "ao"}  # a distribution of PyPI -> the package of ours that it overwrites


@cache
def check_installation() -> None:
    """Refuse to work beside a distribution whose files lie in the same folders as ours.

    Asked once, by what first needs a server, so that importing stays cheap.

    Raises:
        TellurioError: ``afnio`` or ``ao-dev`` of PyPI is installed too.
    """
    from importlib import metadata

    for name, package in _THEIRS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        raise TellurioError(
            f"Another distribution, {name} {version}, is installed beside afnio-studio, and both bring the package "
            f"'{package}': its files are mixed with ours. Type: pip uninstall --yes {name} afnio-studio && "
            "pip install afnio-studio"
        )
