"""The documentation says what the code does: commands, settings and dials have their places in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from gyropilot import configuration
from gyropilot.cli import app
from gyropilot.domain import Dial
from gyropilot.errors import GyropilotError
from gyropilot.report.json_report import to_dict
from tests.report import samples

ROOT = Path(__file__).parent.parent
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
HEADINGS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation", "## What the autopilot does")


def commands() -> dict[str, list[str]]:
    """Each command with its long options."""
    group = get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    found: dict[str, list[str]] = {}
    for name, command in group.commands.items():
        inner = command.commands if isinstance(command, typer.core.TyperGroup) else None
        leaves = {f"{name} {leaf}": c for leaf, c in inner.items()} if inner else {name: command}
        for leaf, c in leaves.items():
            found[leaf] = [opt for p in c.params for opt in p.opts if opt.startswith("--") and opt != "--help"]
    return found


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_has_its_section_that_names_its_options(command: str) -> None:
    section = COMMANDS.split(f"## `gyropilot {command}`")[1].split("\n## ")[0]

    missing = [option for option in commands()[command] if f"`{option}" not in section]

    assert missing == []


def test_no_section_describes_a_command_that_is_not_there() -> None:
    described = set(re.findall(r"^## `gyropilot ([a-z ]+)`", COMMANDS, re.MULTILINE))

    assert described == set(commands())


def test_every_key_of_a_plan_as_json_is_described() -> None:
    section = COMMANDS.split("prints one object:")[1].split("\n## ")[0]
    told = to_dict(samples.cycle())

    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(told)
    assert [key for key in told["actions"][0] if f"`{key}`" not in section] == []


@pytest.mark.parametrize("kind", [GyropilotError, *GyropilotError.__subclasses__()])
def test_every_exit_code_is_described(kind: type[GyropilotError]) -> None:
    assert f"\n| {kind.exit_code} | " in COMMANDS


def test_the_settings_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == configuration.table()


@pytest.mark.parametrize("dial", list(Dial))
def test_every_dial_has_its_runbook(dial: Dial) -> None:
    page = (ROOT / "runbooks" / f"{dial.value}.md").read_text()

    assert [heading for heading in HEADINGS if heading not in page] == []


def test_local_links_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("runbooks/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")

    assert broken == []
