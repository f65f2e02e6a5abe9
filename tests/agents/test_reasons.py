"""Sentences that nobody reads are not written."""

from functools import partial

from agents.reasons import Reasons
from gyropilot.domain import Intent


def test_a_reason_is_put_into_words_when_it_is_read() -> None:
    written: list[str] = []

    def says(subject: str) -> str:
        written.append(subject)
        return f"{subject} is asked for"

    reasons = Reasons({name: partial(says, name) for name in ("h100", "l4")})
    intent = Intent("p", {"h100": 8, "l4": 4}, reasons=reasons)

    assert (len(reasons), [*reasons], "l4" in reasons, written) == (2, ["h100", "l4"], True, [])
    assert (intent.why("h100"), intent.why("a100"), written) == ("h100 is asked for", "", ["h100"])
    assert reasons == {"h100": "h100 is asked for", "l4": "l4 is asked for"}
