"""The report as one HTML file: whole, small, and deaf to what names say."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.domain import Cycle
from gyropilot.report.html import to_html
from tests.report import samples

VOID = {"meta", "link", "br"}
BREAK = "wbr"  # where a path may break: it does nothing else, and each path has as many as parts


class Structure(HTMLParser):
    """Elements and attribute names of a page, and its text, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == BREAK:
            assert attrs == []
            return
        self.elements[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


PLAIN = Structure(to_html(samples.named("plain")))
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></svg></style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "]]>--><!--",
    "&lt;b&gt;&#x3c;",
    "\u202ecba\x00\x1b[2J",
    "🚀" * 60,
    "x" * 253,
]


@given(name=st.text(min_size=1, max_size=253) | st.sampled_from(EVIL), reason=st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_no_text_from_the_cluster_adds_an_element_or_an_attribute(name: str, reason: str) -> None:
    found = Structure(to_html(samples.named(name, reason)))

    assert found.elements == PLAIN.elements
    assert found.attributes <= PLAIN.attributes
    assert found.open == []


@pytest.mark.parametrize("name", EVIL)
def test_every_listed_attack_adds_nothing(name: str) -> None:
    found = Structure(to_html(samples.named(name)))

    assert (found.elements, found.open) == (PLAIN.elements, [])


def test_a_name_is_shown_as_it_is() -> None:
    assert "<script>alert(1)</script>" in Structure(to_html(samples.named("<script>alert(1)</script>"))).text


def test_what_cannot_be_encoded_is_replaced() -> None:
    assert "a�b" in to_html(samples.named("a\ud800b")).encode().decode()


def test_no_template_of_a_name_is_run() -> None:
    assert "{{ 7 * 7 }}" in "".join(Structure(to_html(samples.named("{{ 7 * 7 }}"))).text)


@pytest.mark.parametrize("cycle", [samples.cycle(), samples.empty(), samples.unseen()], ids=["full", "empty", "unseen"])
def test_neither_script_nor_handler_nor_anything_outside(cycle: Cycle) -> None:
    page = to_html(cycle)
    found = Structure(page)

    assert not {"script", "iframe", "img", "object", "form"} & set(found.elements)
    assert not [name for _, name in found.attributes if name.startswith("on")]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "url(http" not in page
    assert "@import" not in page


def test_every_id_is_used_once() -> None:
    ids = re.findall(r' id="([^"]+)"', to_html(samples.cycle()))

    assert [i for i, n in Counter(ids).items() if n > 1] == []


def test_every_picture_is_told_to_a_screen_reader_or_is_decoration() -> None:
    pictures = re.findall(r"<svg[^>]*>", to_html(samples.cycle()))

    assert len(pictures) > 20
    assert [p for p in pictures if 'role="img"' not in p and 'aria-hidden="true"' not in p] == []


@pytest.mark.parametrize(
    "fact",
    [
        "Nothing was changed. This is a plan.",
        "8 wanted, 3 held back, 5 rehearsed",
        "14 → 16 nodes",
        "vision-research would drop to 7 GPUs, guaranteed 8",
        "spec.replicas: 14 → 16",
        "quota 24 → 30",
        "capacity 200 → 208",
        "112 → 128 GPUs",
        "now 12:00 UTC",
        "3.67 USD per GPU-hour assumed",
        "mode plan",
        "as it is now, drawn over the past",
    ],
)
def test_tells(fact: str) -> None:
    assert fact in "".join(Structure(to_html(samples.cycle())).text)


def test_the_sections_come_in_the_order_of_their_weight() -> None:
    page = to_html(samples.cycle())

    assert re.findall(r'<h2 id="(\w+)"', page) == ["demand", "queues", "pools", "taken", "held", "notes"]


def test_says_what_was_turned_when_it_acted() -> None:
    page = to_html(samples.cycle("act"))

    assert "5 changes made." in page
    assert "What was approved and turned" in page
    assert "Nothing was changed" not in page


def test_two_hundred_queues_stay_under_a_megabyte_and_a_half() -> None:
    page = to_html(samples.crowded(200))

    assert len(page.encode()) < 1_500_000
    assert page.count("Demand of queue team-") == 24
    table = page.split("All 200 queues as a table")[1].split("</table>")[0]
    assert table.count('<th scope="row">team-') == 200
    assert "The 24 largest of 200 queues" in page


@pytest.mark.parametrize("letters", [9, 253])
def test_a_thousand_queues_and_actions_stay_under_a_megabyte_and_a_half(letters: int) -> None:
    page = to_html(renamed(samples.crowded(1000), letters))

    assert len(page.encode()) < 1_500_000
    assert page.count('<li id="deed-') == 153
    assert page.count('<tr id="deed-') == 1008 - 153
    assert "855 more as a table" in page


def test_two_hundred_queues_of_253_characters_stay_under_a_megabyte_and_a_half() -> None:
    assert len(to_html(renamed(samples.crowded(200), 253)).encode()) < 1_500_000


def renamed(crowd: Cycle, letters: int) -> Cycle:
    """The same with names of queues that are so long, wherever they stand."""
    long = {q.name: f"{q.name:x<{letters}}" for q in crowd.state.queues}
    queues = tuple(replace(q, name=long[q.name]) for q in crowd.state.queues)
    lines = tuple(line._replace(queue=long.get(line.queue, "")) for line in crowd.forecast.lines)
    history = replace(crowd.state.history, lines=lines[:-1])
    wishes = [replace(v.action, subject=long.get(v.action.subject, v.action.subject)) for v in crowd.verdicts]
    return replace(
        crowd,
        state=replace(crowd.state, queues=queues, history=history),
        forecast=replace(crowd.forecast, lines=lines),
        verdicts=tuple(replace(v, action=wish) for v, wish in zip(crowd.verdicts, wishes, strict=True)),
    )


def test_a_path_breaks_between_its_parts() -> None:
    page = to_html(samples.cycle())

    assert "<pre>spec.<wbr>replicas: 14 → 16</pre>" in page
    assert "spec.<wbr>resourceGroups<wbr>[0].<wbr>flavors<wbr>[0].<wbr>resources<wbr>[0].<wbr>nominalQuota: 24" in page


def test_a_quota_of_a_queue_with_several_flavors_is_told_with_its_flavor() -> None:
    page = "".join(Structure(to_html(samples.of_two_flavors())).text)

    assert page.count("vision on h100-on-demand 16 → 13 GPUs") == 1  # on the first screen
    assert page.count("vision on h100-on-demand") == 2  # and as the title of the action
    assert "audio on h100" not in page


def test_nothing_seen_is_told_in_words() -> None:
    text = "".join(Structure(to_html(samples.empty())).text)

    assert "Nothing needs to change" in text
    assert "No demand was seen and none is forecast." in text
    assert "No queue was seen." in text
    assert "No pool of GPUs was seen." in text
    assert "No rule objected to anything." in text


def test_what_is_not_a_number_is_never_drawn_or_said() -> None:
    page = to_html(samples.unseen())

    assert "no history seen" in page
    assert "no forecast" in page
    assert not re.search(r"\b(nan|inf)\b", page, re.IGNORECASE)


def _palettes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", to_html(samples.empty()), re.DOTALL)
    return {
        name: dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for name, block in zip(("light", "dark"), blocks, strict=True)
    }


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        *((front, "paper") for front in ("ink", "muted", "demand", "limit", "good", "bad", "held")),
        *(("good", "good-wash"), ("held", "held-wash"), ("ink", "raised"), ("muted", "unseen")),
    ],
)
def test_text_has_the_contrast_of_wcag_aa(theme: str, front: str, back: str) -> None:
    palette = _palettes()[theme]

    darker, lighter = sorted((_luminance(palette[front]), _luminance(palette[back])))

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
