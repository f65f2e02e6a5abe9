"""A cluster with queues and quotas as a file: what `gyropilot simulate --scenario` replays jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envs.replay import Cluster, Share
from gyropilot.errors import SettingsError

SAMPLE = """\
# GPUs on nodes, by flavor. How nodes are fragmented is not looked at.
flavors:
  h100: 64
  a100: 32

# Kueue's ClusterQueues without preemption. A job takes the first flavor, in the order of its queue's shares, in which
# all of it fits.
queues:
  research:
    cohort: all                # queues of one cohort lend to each other what they do not use
    shares:
      h100: {nominal: 48}      # GPUs; without limits it borrows and lends all that it can
      a100: {nominal: 16, borrowing_limit: 8}
  production:
    cohort: all
    strategy: StrictFIFO       # the head blocks those behind it; BestEffortFIFO, unless told: they may pass it
    shares:
      h100: {nominal: 16, lending_limit: 0}   # keeps all of its quota to itself
      a100: {nominal: 16}
"""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Share(_Part):
    nominal: int = Field(ge=0)
    borrowing_limit: int | None = Field(default=None, ge=0)
    lending_limit: int | None = Field(default=None, ge=0)


class _Queue(_Part):
    cohort: str | None = None
    strategy: Literal["BestEffortFIFO", "StrictFIFO"] = "BestEffortFIFO"
    shares: dict[str, _Share] = Field(min_length=1)


class Scenario(_Part):
    """Flavors, and queues with shares of them."""

    flavors: dict[str, int] = Field(min_length=1)
    queues: dict[str, _Queue] = Field(min_length=1)

    @property
    def gpus(self) -> int:
        """On nodes, of all flavors."""
        return sum(self.flavors.values())

    @property
    def cluster(self) -> Cluster:
        """What `envs.replay` takes."""
        shares = {
            name: {
                flavor: Share(share.nominal, share.borrowing_limit, share.lending_limit)
                for flavor, share in queue.shares.items()
            }
            for name, queue in self.queues.items()
        }
        cohorts = {name: queue.cohort for name, queue in self.queues.items() if queue.cohort}
        strict = frozenset(name for name, queue in self.queues.items() if queue.strategy == "StrictFIFO")
        return Cluster(shares, cohorts, self.flavors, strict)


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises SettingsError naming each field that is not what it should be."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be read: {problem.strerror}; `gyropilot scenario sample` prints one to begin with"
        ) from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(problem).split())}") from problem
    try:
        found = Scenario.model_validate(document or {})
    except ValidationError as problem:
        sentences = [f"{_place(e['loc'])}: {e['msg'][:1].lower()}{e['msg'][1:]}" for e in problem.errors()]
        raise SettingsError(f"{path} is no scenario:\n" + "\n".join(sentences)) from problem
    _refuse_strange(path, found)
    return found


def refuse_unknown(scenario: Scenario, queues: Sequence[str]) -> None:
    """Raises SettingsError where jobs name queues that the scenario does not have: they would wait for ever."""
    unknown = sorted(set(queues) - set(scenario.queues))
    if unknown:
        some = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise SettingsError(
            f"jobs name {len(unknown)} queues that the scenario lacks ({some}); add them, or leave those jobs out"
        )


def _refuse_strange(path: Path, found: Scenario) -> None:
    for name, gpus in found.flavors.items():
        if gpus < 0:
            raise SettingsError(f"{path}: flavors.{name} has {gpus} GPUs; give zero or more")
    for name, queue in found.queues.items():
        strange = [flavor for flavor in queue.shares if flavor not in found.flavors]
        if strange:
            raise SettingsError(
                f"{path}: queues.{name}.shares names {strange[0]}, no flavor; there are {', '.join(found.flavors)}"
            )


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts) or "the file"
