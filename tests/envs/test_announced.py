"""Gymnasium knows the simulated cluster by its name alone, and nobody waits for Gymnasium who does not ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

MADE = "print(type(gymnasium.make('gyropilot/Cluster-v0').unwrapped).__name__)"


def printed(program: str) -> str:
    """By a process of its own, in which a warning is an error."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


@pytest.mark.parametrize(
    "imports",
    [
        "import envs, gymnasium",
        "import gymnasium, envs",
        "import envs.faces, gymnasium",
        "import gymnasium, envs.faces",
        "import envs; from importlib.util import find_spec; find_spec('gymnasium'); import gymnasium",
        "import envs; from gymnasium import spaces; import gymnasium",
    ],
)
def test_it_is_made_by_its_name_in_whichever_order_both_are_imported(imports: str) -> None:
    assert printed(f"{imports}; {MADE}") == "Cluster"


def test_many_are_made_by_the_name_and_so_it_is_with_the_module_before_it() -> None:
    told = printed(
        "import envs, gymnasium\n"
        "print(gymnasium.make_vec('gyropilot/Cluster-v0', num_envs=2).num_envs)\n"
        "print(gymnasium.make('envs.faces:gyropilot/Cluster-v0').spec.id)"
    )

    assert told.split() == ["2", "gyropilot/Cluster-v0"]


def test_before_the_name_the_module_that_tells_it_may_stand() -> None:
    told = printed("import gymnasium; print(gymnasium.make('envs:gyropilot/Cluster-v0').spec.id)")

    assert told == "gyropilot/Cluster-v0"


def test_so_it_may_for_many() -> None:
    assert printed("import gymnasium; print(gymnasium.make_vec('envs:gyropilot/Cluster-v0', 3).num_envs)") == "3"


def test_what_waits_for_gymnasium_is_gone_once_it_came_and_leaves_it_as_it_is() -> None:
    told = printed(
        "import sys, envs, inspect\n"
        "before = len(sys.meta_path)\n"
        "import gymnasium\n"
        "print(before - len(sys.meta_path), 'register' in inspect.getsource(gymnasium), gymnasium.__version__[0])"
    )

    assert told == "1 True 1"


def test_importing_environments_does_not_import_gymnasium() -> None:
    assert printed("import sys, envs, envs.world, gyropilot.cli; print('gymnasium' in sys.modules)") == "False"
