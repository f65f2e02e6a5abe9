"""Every dial has a runbook page, and what a page tells an operator to set exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from gyropilot.domain import Dial
from gyropilot.settings import PoolSettings, QueueSettings, Settings

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "What the autopilot does"]
SETTING = re.compile(r"`((?:guardrails|pilot|pools|queues)\.[A-Za-z0-9_.]+)")


def page(dial: Dial) -> str:
    return (RUNBOOKS / f"{dial}.md").read_text()


@pytest.mark.parametrize("dial", list(Dial))
def test_every_dial_has_a_page_under_the_five_headings(dial: Dial) -> None:
    text = page(dial)

    assert text.startswith(f"# Dial: {dial}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("dial", list(Dial))
def test_every_setting_that_a_page_names_exists(dial: Dial) -> None:
    named = SETTING.findall(page(dial))

    assert named
    assert [each for each in named if not exists(each)] == []


@pytest.mark.parametrize("dial", list(Dial))
def test_every_page_that_a_page_links_to_exists(dial: Dial) -> None:
    assert [link for link in re.findall(r"\]\(([^)]+)\)", page(dial)) if not (RUNBOOKS / link).exists()] == []


@pytest.mark.parametrize("path", ["guardrails.pauses", "pools.h100.lead", "queues.a", "pilot.pause.x"])
def test_a_setting_that_does_not_exist_is_found_out(path: str) -> None:
    assert not exists(path)


def exists(path: str) -> bool:
    """Whether a dotted path leads to a field; the second step into pools and queues is a name."""
    section, *rest = path.split(".")
    by_name: dict[str, type[BaseModel]] = {"pools": PoolSettings, "queues": QueueSettings}
    if section in by_name:
        return len(rest) == 2 and rest[1] in by_name[section].model_fields
    fields = type(getattr(Settings(), section)).model_fields
    return len(rest) == 1 and rest[0] in fields
