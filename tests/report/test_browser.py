"""The report in a real browser: opens offline, fits, and is silent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from gyropilot.domain import Cycle
from gyropilot.report.html import to_html
from tests.report import samples

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")

HOSTILE = "<script>document.title='owned'</script>\"'🚀" + "x" * 210
PAGES: dict[str, Callable[[], Cycle]] = {
    "full": samples.cycle,
    "empty": samples.empty,
    "unseen": samples.unseen,
    "crowded": samples.crowded,
    "hostile": lambda: samples.named(HOSTILE),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("reports")
    for name, cycle in PAGES.items():
        (where / f"{name}.html").write_text(to_html(cycle()), encoding="utf-8")
    return where


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_opens_offline_fits_and_is_silent(browser: Browser, folder: Path, name: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    address = (folder / f"{name}.html").as_uri()

    page.goto(address)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert said == []
    assert page.title() != "owned"
    page.close()


@pytest.mark.parametrize("name", ["full", "crowded"])
def test_no_word_of_a_chart_is_cut_at_its_edge(browser: Browser, folder: Path, name: str) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto((folder / f"{name}.html").as_uri())

    beyond = page.evaluate(
        "[...document.querySelectorAll('svg text')].filter(word => word.getBoundingClientRect().right >"
        " word.ownerSVGElement.getBoundingClientRect().right + 1).map(word => word.textContent)"
    )

    assert beyond == []
    page.close()


def test_shows_one_of_the_two_totals_at_each_width(browser: Browser, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((folder / "full.html").as_uri())

    assert page.locator(".narrow svg").first.is_visible()
    assert not page.locator(".wide svg").first.is_visible()

    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator(".wide svg").first.is_visible()
    assert not page.locator(".narrow svg").first.is_visible()
    page.close()


def test_text_in_charts_is_legible_on_a_phone(browser: Browser, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((folder / "full.html").as_uri())

    heights = page.eval_on_selector_all(
        ".narrow text, .fans text", "nodes => nodes.map(n => n.getBoundingClientRect().height)"
    )

    assert min(heights) >= 9
    page.close()


def test_follows_the_readers_light_and_dark(browser: Browser, folder: Path) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((folder / "full.html").as_uri())
        colours[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()

    assert colours == {"light": "rgb(252, 251, 248)", "dark": "rgb(18, 23, 28)"}


def test_details_can_be_reached_and_opened_from_the_keyboard(browser: Browser, folder: Path) -> None:
    page = browser.new_page()
    page.goto((folder / "full.html").as_uri())
    details = page.locator("details").first

    details.locator("summary").focus()
    page.keyboard.press("Enter")

    assert details.get_attribute("open") is not None
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.close()


def test_prints_on_white_whatever_the_screen_was(browser: Browser, folder: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto((folder / "full.html").as_uri())

    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    page.close()
