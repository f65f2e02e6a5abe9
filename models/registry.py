"""A folder of one training: what it began with, a folder for each seed, and what came of it as a network to run.

run.json        what it depends on, so that nothing else goes on in this folder
seed-0/, …      checkpoints and the best policy so far
policy.onnx     of the seed that was best on the validation days
card.json       what that is and how good
"""

from __future__ import annotations

import json
from pathlib import Path

from agents.pilots.network import CARD, POLICY, Card
from gyropilot.errors import SettingsError
from models.files import write_whole

RUN = "run.json"


def begin(folder: Path, fingerprint: str, resume: bool) -> None:
    """Claims a folder for a training. Raises SettingsError where that is another's, or to be resumed only."""
    known = to_go_on_with(folder, resume)
    if known is None:
        write_whole(folder / RUN, json.dumps({"fingerprint": fingerprint}).encode())
    elif known != fingerprint:
        raise SettingsError(
            f"{folder} was begun with other jobs, another scenario, base, split or version; give those to go on "
            "with it, or another --out to begin anew"
        )


def to_go_on_with(folder: Path, resume: bool) -> str | None:
    """The fingerprint of the training that a folder holds; None where one is to begin there.

    Raises SettingsError where there is one and it is not to be resumed, where there is none that could be, and where
    there is something else.
    """
    known = _fingerprint(folder)
    if known is not None and not resume:
        raise SettingsError(f"{folder} holds a training already; --resume goes on with it, another --out begins anew")
    if known is None and resume:
        raise SettingsError(
            f"--resume goes on with the training in --out, and {folder} holds none; give the folder of one, or leave "
            "--resume out to begin anew"
        )
    if known is None and folder.is_dir() and any(folder.iterdir()):
        raise SettingsError(f"{folder} holds something that is no training; give an --out that is empty or not there")
    return known


def publish(folder: Path, model: bytes, card: Card) -> None:
    """Puts a network where `pilot.network` finds it. The card comes last, and names the network that it tells of."""
    write_whole(folder / POLICY, model)
    write_whole(folder / CARD, (card.model_dump_json(indent=2) + "\n").encode())


def seed_folder(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed}"


def _fingerprint(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / RUN).read_text(encoding="utf-8"))["fingerprint"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise SettingsError(f"{folder / RUN} cannot be read ({problem}); give another --out") from problem
