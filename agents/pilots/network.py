"""A trained network as it lies in its folder: `policy.onnx`, and `card.json` that says what it is and how good.

It runs in onnxruntime: the daemon needs no torch. A network that does not fit is refused when it is loaded, in one
sentence, and not when a cluster depends on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from agents.encoding import FACTORS, FEATURES, VERSION, Rows
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings

if TYPE_CHECKING:
    from agents.pilots.learned import Network

CARD, POLICY = "card.json", "policy.onnx"

_NEXT = "train one with `gyropilot train`, or set pilot.name to newsvendor"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Part):
    """Percent by which it costs more than its base on held-out days (negative: less), and a 90 % interval over days."""

    mid: float | None = None  # None: the base paid nothing
    low: float | None = None  # None: there are too few days to tell
    high: float | None = None


class SeedFigures(_Part):
    """What came of one seed."""

    seed: int
    steps: int  # that it learned for
    picked_at: int  # steps after which it was best on the validation days; 0: never better than its base
    validation_percent: float  # there, next to its base
    held_out: Figure
    by_cluster: tuple[Figure, ...] = ()  # the same on each of several clusters, in the order of --jobs


class Data(_Part):
    """What it was trained and judged on."""

    jobs: int
    queues: int
    clusters: int = 1  # days are those of all together
    pools: tuple[str, ...]
    train_days: float
    validation_days: float
    held_out_days: float
    forecaster: str
    fingerprint: str  # of jobs, scenario, base and recipe
    surprises: dict[str, float] = {}  # a day, that met it while it learned (`envs.faults.Surprises`)


class Card(_Part):
    """What a network is: nothing else is needed to run it, or to decide whether to."""

    encoding: int
    features: tuple[str, ...]
    factors: tuple[float, ...]
    base: PilotSettings  # whose wishes it corrects
    network_sha256: str
    chosen_seed: int
    seeds: tuple[SeedFigures, ...]
    pooled: Figure  # all seeds together
    data: Data
    recipe: dict[str, float | int | tuple[int, ...]]
    version: str  # of gyropilot


def read_card(folder: Path) -> Card:
    """Raises SettingsError where there is none, or none that this version can run."""
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except OSError as problem:
        raise SettingsError(f"{folder} holds no trained network ({CARD}: {problem.strerror}); {_NEXT}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SettingsError(f"{folder / CARD} is no model card: {place}: {first['msg']}; {_NEXT}") from problem
    _refuse_other_encoding(folder, card)
    if card.base.name == "learned":
        raise SettingsError(f"{folder} corrects another learned pilot, which no network is trained to do; {_NEXT}")
    return card


def load(folder: Path, forecaster: str | None = None) -> tuple[Card, Network]:
    """A network and what it is. Raises SettingsError where it cannot be run as it was trained: with that forecaster."""
    card = read_card(folder)
    if forecaster not in {None, card.data.forecaster}:
        raise SettingsError(
            f"{folder} was trained with forecasts of {card.data.forecaster} and would see those of {forecaster}, which "
            f"it never learned how far to believe; set forecast.model (--forecaster) to {card.data.forecaster}, or "
            f"train one with --forecaster {forecaster}"
        )
    try:
        model = (folder / POLICY).read_bytes()
    except OSError as problem:
        raise SettingsError(f"{folder} holds no trained network ({POLICY}: {problem.strerror}); {_NEXT}") from problem
    if sha256(model) != card.network_sha256:
        raise SettingsError(f"{folder / POLICY} is not the network that {CARD} tells of; copy both again, or {_NEXT}")
    return card, running(model, str(folder / POLICY))


def running(model: bytes, called: str = "the network") -> Network:
    """An ONNX model as a function of rows. Raises SettingsError where it is not a network of this encoding."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    refusals = (native.Fail, native.InvalidArgument, native.InvalidGraph, native.InvalidProtobuf, native.NotImplemented,
                native.RuntimeException)  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a tiny network: threads would only wait
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        network = _of(session)
        shapes = [network(np.zeros((count, len(FEATURES)), np.float32)).shape for count in (1, 3)]
    except refusals as problem:
        words = " ".join(str(problem).split())
        raise SettingsError(f"{called} cannot be run by onnxruntime: {words}; {_NEXT}") from problem
    if shapes != [(1, len(FACTORS)), (3, len(FACTORS))]:
        raise SettingsError(
            f"{called} answers {shapes[0]} numbers, not one for each of {len(FACTORS)} factors; {_NEXT}"
        )
    return network


def sha256(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()


def _of(session: Any) -> Callable[[Rows], NDArray[np.float32]]:
    seen, scores = session.get_inputs()[0].name, session.get_outputs()[0].name

    def network(rows: Rows) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run([scores], {seen: rows})[0]
        return answer

    return network


def _refuse_other_encoding(folder: Path, card: Card) -> None:
    if card.encoding != VERSION or card.features != FEATURES:
        raise SettingsError(f"{folder} was trained on encoding {card.encoding}, this gyropilot has {VERSION}; {_NEXT}")
    if card.factors != FACTORS:
        raise SettingsError(f"{folder} was trained on other factors than this gyropilot's; {_NEXT}")
