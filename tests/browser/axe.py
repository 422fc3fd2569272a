"""What keeps people with disabilities from using a page, as axe-core finds it: WCAG 2.2 A and AA, and its best practices.

`findings(page)` looks at what is shown; `findings_everywhere(page)` also in light and dark, wide and on a phone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Frame, Page, expect

SCRIPT = Path(__file__).parent / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")
EVERY = ("minor", "moderate", *GRAVE)
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# What is asked for is dimmed until the answer is there, which is as long as the machine wants: nothing to find fault with.
_RUN = """async (apart) => {
  const still = new CSSStyleSheet();
  still.replaceSync(".htmx-request { opacity: 1 !important; transition: none !important }");
  const before = [...document.adoptedStyleSheets];
  document.adoptedStyleSheets = [...before, still];
  const found = await axe.run({exclude: apart}, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
  }).finally(() => { document.adoptedStyleSheets = before; });
  return found.violations.flatMap(({id, impact, help, nodes}) => nodes.map(
    ({target, html, failureSummary}) => ({id, impact, help, target: target.join(" "), html, why: failureSummary})
  ));
}"""


@cache
def _script() -> str:
    return SCRIPT.read_text("utf-8")


def findings(
    page: Page | Frame, *, impacts: tuple[str, ...] = GRAVE, apart: tuple[str, ...] = ()
) -> list[str]:
    """Return each finding in a line. apart: selectors of what is not looked at."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_script())
    expect(page.locator(".htmx-request")).to_have_count(0)
    found: list[dict[str, Any]] = page.evaluate(_RUN, [[each] for each in apart])
    return [
        f"{each['impact']} {each['id']}: {each['help']}: {each['target']}\n  {each['html'][:300]}\n  {each['why']}"
        for each in found
        if each["impact"] in impacts
    ]


def findings_everywhere(page: Page, **how: Any) -> list[str]:
    """Return the findings in light and dark, wide and on a phone, each said once with where it was."""
    before = page.viewport_size
    found: dict[str, list[str]] = {}
    try:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for name, size in (("wide", WIDE), ("phone", PHONE)):
                page.set_viewport_size(size)
                for each in findings(page, **how):
                    found.setdefault(each, []).append(f"{scheme} {name}")
    finally:
        page.emulate_media(color_scheme=None)
        if before is not None:
            page.set_viewport_size(before)
    return [f"{', '.join(places)}: {each}" for each, places in found.items()]


def wider_than_shown(page: Page) -> int:
    """Return by how many pixels the page itself must be scrolled sideways; tables scroll in their own frame."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
