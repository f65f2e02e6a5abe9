"""Networks in folders, as a training would leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.encoding import FACTORS, FEATURES, VERSION
from agents.pilots.network import Card, Data, Figure, SeedFigures, sha256
from gyropilot.settings import PilotSettings
from models.network import Layers, to_onnx
from models.registry import publish


def layers(factor: float = 1.0) -> Layers:
    """Two small ones that always choose the same factor."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, len(FEATURES))).astype(np.float32)
    last = np.zeros((len(FACTORS), 4), np.float32)
    bias = (np.array(FACTORS) == factor).astype(np.float32)
    return (first, np.zeros(4, np.float32)), (last, bias)


def card(model: bytes, **changes: Any) -> Card:
    """Of a network that saved 1.5 %."""
    found = SeedFigures(seed=0, steps=2_000, picked_at=1_000, validation_percent=-2.0, held_out=Figure(mid=-1.5))
    told: dict[str, Any] = {
        "encoding": VERSION,
        "features": FEATURES,
        "factors": FACTORS,
        "base": PilotSettings(dead_band_gpus=3),
        "network_sha256": sha256(model),
        "chosen_seed": 0,
        "seeds": (found,),
        "pooled": Figure(mid=-1.5, low=-2.0, high=-1.0),
        "data": Data(
            jobs=100,
            queues=2,
            pools=("x",),
            train_days=4.0,
            validation_days=1.0,
            held_out_days=2.0,
            forecaster="naive",
            fingerprint="f",
        ),
        "recipe": {"gamma": 0.98, "hidden": (4,)},
        "version": "0",
    }
    return Card.model_validate({**told, **changes})


def published(folder: Path, factor: float = 1.0, **changes: Any) -> Path:
    """The folder."""
    model = to_onnx(layers(factor))
    publish(folder, model, card(model, **changes))
    return folder
