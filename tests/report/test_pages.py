"""What is the same on every page, whatever it tells."""

from collections.abc import Callable

import pytest

from gyropilot.report import backtest, forecast, simulation, trials
from gyropilot.report.html import to_html
from tests.report import samples, trialled
from tests.report.foretold import foretold
from tests.report.test_backtest import bare

PAGES: dict[str, Callable[[], str]] = {
    "report": lambda: to_html(samples.cycle()),
    "forecast": lambda: forecast.render(foretold(), "html"),
    "backtest": lambda: backtest.render(bare(), "html"),
    "simulation": lambda: simulation.render(trialled.simulation(), "html"),
    "trials": lambda: trials.render(trialled.trials(), "html"),
}


def test_all_pages_begin_alike_and_let_nothing_in_from_outside() -> None:
    (begins,) = {page().partition("<title>")[0] for page in PAGES.values()}

    assert begins.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n')
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'" in begins


@pytest.mark.parametrize(
    ("name", "title", "eyebrow"),
    [
        ("report", "– Gyropilot, ", "<b>Gyropilot</b> · plan · "),
        ("forecast", "– Gyropilot forecast, ", "<b>Gyropilot</b> · forecast · "),
        ("backtest", "– Gyropilot backtest</title>", "<b>Gyropilot</b> · backtest · "),
        ("simulation", "– Gyropilot simulation</title>", "<b>Gyropilot</b> · simulation · "),
        ("trials", "– Gyropilot simulation</title>", "<b>Gyropilot</b> · simulation · "),
    ],
)
def test_every_page_says_what_it_is(name: str, title: str, eyebrow: str) -> None:
    page = PAGES[name]()

    assert title in page
    assert eyebrow in page
