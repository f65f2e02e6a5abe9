"""Who waits for a slow pilot sees how far it has come."""

from agents.pilots import Hold
from envs.heard import Heard
from envs.trial import steps_of
from tests.envs.test_trial import busy, steered


def test_a_pilot_that_is_heard_steers_as_it_does_alone_and_tells_how_far_it_is() -> None:
    jobs, said = busy(), list[str]()
    looks = steps_of(jobs)

    heard, alone = steered(Heard(Hold(), looks, said.append), jobs), steered(Hold(), jobs)

    assert (heard.pilot, heard.total_usd) == (alone.pilot, alone.total_usd)
    assert said[0] == f"hold steers: 0 of {looks:,} looks"
    assert 100 <= len(said) <= 400
    assert int(said[-1].split()[2].replace(",", "")) > 0.98 * looks
