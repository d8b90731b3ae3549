"""The scripts' texts: all in one file, and none that nobody shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from playwright.sync_api import Page

from tests.browser.servers import PROJECT

ASSETS = PROJECT / "gui" / "assets"


def texts_in_use(name: str, text: Any, scripts: str) -> Iterator[tuple[str, bool]]:
    """Each text by its name, and whether a script names it, or looks it up among its siblings."""
    is_looked_up = f"{name}[" in scripts or f"({name})" in scripts
    if not isinstance(text, Mapping) or is_looked_up:
        yield name, name in scripts
        return
    for key, inner in text.items():
        yield from texts_in_use(f"{name}.{key}", inner, scripts)


def test_every_text_is_used(page: Page):
    page.goto("about:blank")
    source = (ASSETS / "texts.js").read_text(encoding="utf-8")
    texts = page.evaluate(
        "source => import(`data:text/javascript,${encodeURIComponent(source)}`).then(m => m.texts)", source
    )
    others = sorted(path for path in ASSETS.glob("*.js") if path.name != "texts.js")
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in others)
    unused = [name for name, is_used in texts_in_use("texts", texts, scripts) if not is_used]
    assert unused == []
