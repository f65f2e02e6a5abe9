"""From jobs and a base to a network on disk: every seed learns, the best on validation days is published, and all are
judged on days that nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.encoding import FACTORS, FEATURES, VERSION
from agents.pilots.network import Card, Figure, SeedFigures, running, sha256
from envs.workloads import Floats
from gyropilot import __version__
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings
from models.registry import begin, publish, seed_folder
from models.school import Exam, School, figure, fingerprint
from models.training import Learner, Progress

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lesson:
    """How much is learned, by which seeds, and where it is kept."""

    base: PilotSettings
    forecaster: str
    scenario: str  # its text: another cluster is another training
    steps: int
    seeds: tuple[int, ...]
    folder: Path
    resume: bool = False


def taught(school: School, lesson: Lesson, told: Told, said: Told) -> Card:
    """Trains, publishes and judges. Raises SettingsError where the folder is another training's."""
    if not lesson.seeds or len(set(lesson.seeds)) < len(lesson.seeds):
        raise SettingsError("--seeds takes whole numbers, each once, parted by commas: 0,1,2")
    mark = fingerprint(school, {"base": lesson.base.model_dump_json(), "scenario": lesson.scenario,
                                "forecaster": lesson.forecaster})  # fmt: skip
    begin(lesson.folder, mark, lesson.resume)
    learners = [Learner(school, seed, seed_folder(lesson.folder, seed), told, said) for seed in lesson.seeds]
    known = [learner.learn(lesson.steps) for learner in learners]
    policies = [learner.policy(progress) for learner, progress in zip(learners, known, strict=True)]
    best = min(range(len(known)), key=lambda nth: known[nth].validation_percent)
    told("days that were held out")
    judged = school.held_out()
    paid = [judged.paid(running(policy)) for policy in policies]
    figures = _figures(known, paid, judged)
    chosen = Card(
        encoding=VERSION,
        features=FEATURES,
        factors=FACTORS,
        base=lesson.base,
        network_sha256=sha256(policies[best]),
        chosen_seed=lesson.seeds[best],
        seeds=figures,
        pooled=figure(paid, judged.base_usd),
        data=school.data(lesson.forecaster, mark),
        recipe=asdict(school.recipe),
        version=__version__,
    )
    for seed, policy in zip(lesson.seeds, policies, strict=True):
        publish(seed_folder(lesson.folder, seed), policy, _instead(chosen, seed, policy))
    publish(lesson.folder, policies[best], chosen)
    return chosen


def _instead(card: Card, seed: int, policy: bytes) -> Card:
    """The same of another seed's network, so that what seeds differ by can be tried anywhere."""
    return card.model_copy(update={"chosen_seed": seed, "network_sha256": sha256(policy)})


def _figures(known: Sequence[Progress], paid: Sequence[Floats], judged: Exam) -> tuple[SeedFigures, ...]:
    return tuple(
        SeedFigures(
            seed=progress.seed,
            steps=progress.steps,
            picked_at=progress.picked_at,
            validation_percent=progress.validation_percent,
            held_out=figure([usd], judged.base_usd),
            by_cluster=_by_cluster(usd, judged),
        )
        for progress, usd in zip(known, paid, strict=True)
    )


def _by_cluster(usd: Floats, judged: Exam) -> tuple[Figure, ...]:
    """Nothing where there is one cluster: it is all of them."""
    parts = zip(judged.by_cluster(usd), judged.by_cluster(judged.base_usd), strict=True)
    return tuple(figure([mine], theirs) for mine, theirs in parts) if len(judged.stretches) > 1 else ()
