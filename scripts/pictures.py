"""Photograph the page into docs/images: every view, light and dark, wide and on a phone, with 0, 3 and 1,000 Runs.

make pictures                     all of them
make pictures ARGS="runs calls"   those whose names begin so

A view is photographed when nothing in it has said for some frames that it loads (``aria-busy="true"``, a skeleton).
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

from scripts.build_studio import Studio
from tests.studio.browsing import ROOT, Theme, Visitor, a_browser, settled
from tests.studio.recorded import record
from tests.studio.seeds import seed
from tests.tellurio.running import ServerProcess

IMAGES = ROOT / "docs" / "images"
THEMES: tuple[Theme, ...] = ("light", "dark")
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@dataclass(frozen=True)
class View:
    """Something that can be looked at.

    Attributes:
        name: how its files begin.
        path: its address.
        signed_in: whether the visitor is.
        server: whether the server still answers when the picture is taken.
    """

    name: str
    path: str
    signed_in: bool = True
    server: bool = True


def views(home: Path) -> Iterator[View]:
    """All of them, over projects that are written into the store for it."""
    empty = seed(home, 0, project="Invoices")
    few = seed(home, 3, project="Support tickets")
    many = seed(home, 1_000, project="Prompt sweep")
    run = few.runs[-1]
    yield View("signed-out", few.project, signed_in=False)
    yield View("projects", "/")
    yield View("runs-0", empty.project)
    yield View("runs-3", few.project)
    yield View("runs-1000", many.project)
    yield View("run", run)
    yield View("run-of-few-points", few.runs[0])
    yield View("prompts", f"{run}prompts")
    yield View("calls", f"{run}calls")
    script = record(home)
    yield View("recordings", script.project)
    yield View("recording", script.whole)
    yield View("recording-calls", f"{script.whole}calls")
    yield View("recording-without-calls", script.silent)
    yield View("recording-crashed", script.crashed)
    yield View("draft", script.draft)
    yield View("rerun", script.rerun)
    yield View("not-found", f"{few.project}runs/never-was/")
    yield View("not-live", few.project, server=False)  # the last one: the server is stopped for it


def photograph(browser: Browser, server: ServerProcess, view: View, folder: Path) -> None:
    """Take the pictures of one view."""
    for theme, (size, viewport) in itertools.product(THEMES, SIZES.items()):
        options: dict[str, Any] = {"color_scheme": theme, "viewport": viewport, "is_mobile": size == "phone"}
        visitor = Visitor(browser, server, **options)
        page = visitor.sign_in(view.path) if view.signed_in else visitor.open(view.path)
        settled(page)
        if not view.server:
            server.stop()
            page.get_by_text("The server is not reachable").first.wait_for()
        _take(page, folder / f"{view.name}-{theme}-{size}.png")
        visitor.close()
        if not view.server:
            server.start()


def _take(page: Page, file: Path) -> None:
    page.evaluate(PAINTED)
    taken = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide", scale="css"))).convert("RGB")
    # 256 colours are what a page needs, and a third of the size.
    taken.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take those that are asked for, or all."""
    Studio(ROOT).build()
    IMAGES.mkdir(parents=True, exist_ok=True)
    wanted = tuple(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, a_browser() as browser:
        home = Path(folder) / "tellurio"
        chosen = [view for view in views(home) if not wanted or view.name.startswith(wanted)]
        server = ServerProcess(home)
        try:
            for view in chosen:
                photograph(browser, server, view, IMAGES)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
