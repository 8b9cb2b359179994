"""The user's program, run as ``python`` would run it: as the real ``__main__`` of this process."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType, TracebackType
    from typing import Any

__all__ = ["INTERRUPTED", "NoProgram", "Program", "finish"]

INTERRUPTED = -2
"""Exit status of a program that Ctrl-C ended: the number of the signal, as ``subprocess`` has it."""


class NoProgram(Exception):
    """There is nothing to run; the message is what ``python`` would print."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _NotFound(Exception):
    """What runpy says when there is no such module; an ImportError is the program's own."""


class Program:
    """What is to be run.

    Attributes:
        target: a path, ``"-"`` for standard input, or the name of a module.
        arguments: of it.
        module: whether the target is a module.
    """

    def __init__(self, target: str, arguments: list[str], *, module: bool = False) -> None:
        self.target, self.arguments, self.module = target, arguments, module

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.module:
            return self.target
        return "stdin" if self.target == "-" else os.path.splitext(os.path.basename(self.target.rstrip(os.sep)))[0]

    def run(self) -> None:
        """Run it in a fresh ``__main__``, which stays when it is over: what it pickles can be found there.

        Raises:
            NoProgram: it cannot be found or read.
            BaseException: whatever it raises; the frames above its own are ours.
        """
        try:
            main, code = self._prepared()
        except SyntaxError as error:
            raise error.with_traceback(None) from None  # python shows no frames of a script that it could not read
        main.__dict__["__builtins__"] = sys.modules["builtins"]
        sys.modules["__main__"] = main
        exec(code, main.__dict__)  # noqa: S102 - it is what the user asked for

    def _prepared(self) -> tuple[ModuleType, CodeType]:
        if self.module:
            return self._of_module()
        if self.target == "-":
            return self._of_stdin()
        if not self.target or os.path.isdir(self.target) or _is_zip(self.target):
            return self._of_folder()
        return self._of_file()

    def _of_file(self) -> tuple[ModuleType, CodeType]:
        try:
            with io.open_code(os.path.abspath(self.target)) as file:
                source = file.read()
        except OSError as error:
            why = f"[Errno {error.errno}] {error.strerror}"
            raise NoProgram(f"{sys.executable}: can't open file {os.path.abspath(self.target)!r}: {why}", 2) from None
        sys.argv = [self.target, *self.arguments]
        _first_on_path(os.path.dirname(os.path.realpath(self.target)))
        path = os.path.abspath(self.target)  # as python makes it since 3.9; sys.argv[0] stays as typed
        main = _fresh(__file__=path, __cached__=None)
        if path.endswith(".pyc"):
            return main, _compiled(source)
        main.__dict__["__loader__"] = _loader(path)
        return main, compile(source, path, "exec", dont_inherit=True)

    def _of_stdin(self) -> tuple[ModuleType, CodeType]:
        sys.argv = ["-", *self.arguments]
        _first_on_path("")
        return _fresh(__file__="<stdin>", __cached__=None), compile(
            sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True
        )

    def _of_module(self) -> tuple[ModuleType, CodeType]:
        import runpy

        sys.argv = ["-m", *self.arguments]
        _first_on_path(os.getcwd())
        details: Any = runpy
        try:
            _, spec, code = details._get_module_details(self.target, _NotFound)  # as pdb and trace do
        except _NotFound as error:
            raise NoProgram(f"{sys.executable}: {error}", 1) from None
        sys.argv[0] = spec.origin
        return self._of_spec(spec, code)

    def _of_folder(self) -> tuple[ModuleType, CodeType]:
        """A folder or zip file with a ``__main__.py`` in it."""
        import runpy

        sys.argv = [self.target, *self.arguments]
        place = os.path.abspath(self.target)  # its modules are found after a change of folder, too
        _first_on_path(place)
        details: Any = runpy
        before = sys.modules.pop("__main__")
        try:
            _, spec, code = details._get_module_details("__main__", _NotFound)
        except _NotFound:
            sys.modules["__main__"] = before
            raise NoProgram(f"{sys.executable}: can't find '__main__' module in {place!r}", 1) from None
        return self._of_spec(spec, code)

    def _of_spec(self, spec: Any, code: CodeType) -> tuple[ModuleType, CodeType]:
        file = code.co_filename if spec.origin is None else spec.origin
        return _fresh(
            __file__=file, __cached__=spec.cached, __loader__=spec.loader, __package__=spec.parent, __spec__=spec
        ), code


def _fresh(**names: Any) -> ModuleType:
    main = type(sys)("__main__")
    main.__dict__.update({"__spec__": None, "__package__": None, **names})
    main.__dict__.setdefault("__annotations__", {})
    return main


def _first_on_path(place: str) -> None:
    """``sys.path[0]`` is where this command lies, unless Python was told to leave it out."""
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[0:1] = [place]


def _loader(path: str) -> Any:
    from _frozen_importlib_external import SourceFileLoader  # importlib.machinery's, without the rest of it

    return SourceFileLoader("__main__", path)


def _compiled(content: bytes) -> CodeType:
    import importlib.util
    import marshal

    if content[:4] != importlib.util.MAGIC_NUMBER:
        raise NoProgram("RuntimeError: Bad magic number in .pyc file", 1)
    code: CodeType = marshal.loads(content[16:])  # noqa: S302 - it is what the user asked for
    return code


def _is_zip(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


# how it ended


def finish(error: BaseException, above: int) -> int:
    """Show what ended the program as ``python`` shows it; returns the exit status.

    Args:
        error: what it raised.
        above: frames of ours at the top of the traceback.
    """
    traceback = error.__traceback__
    for _ in range(above):
        traceback = traceback.tb_next if traceback is not None else None
    if isinstance(error, SystemExit):
        return _exit_status(error)
    error.__traceback__ = traceback
    _without_patches(error)
    _show(error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return 1


_PATCHES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "intercept") + os.sep


def _without_patches(error: BaseException) -> None:
    """Take the frames of our patches out of the tracebacks of an error and of those that led to it."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _theirs(each.__traceback__)
        left += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions


def _theirs(traceback: TracebackType | None) -> TracebackType | None:
    first = at = _next(traceback)
    while at is not None:
        following = _next(at.tb_next)
        if following is not at.tb_next:
            at.tb_next = following
        at = following
    return first


def _next(traceback: TracebackType | None) -> TracebackType | None:
    """The first frame from here on that is not a patch's."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_PATCHES):
        traceback = traceback.tb_next
    return traceback


def _show(error: BaseException, traceback: TracebackType | None) -> None:
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    error.__traceback__ = traceback
    try:
        sys.excepthook(type(error), error, traceback)
    except BaseException:  # noqa: BLE001 - as python does: the hook's own error, then the first one
        sys.stderr.write("Error in sys.excepthook:\n")
        kind, value, inside = sys.exc_info()
        if kind is not None and value is not None:
            value.__context__ = None  # python shows the two one after the other
            sys.__excepthook__(kind, value.with_traceback(inside and inside.tb_next), inside and inside.tb_next)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, traceback)


def _exit_status(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1
