"""Where the credentials come from, and what is said when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gyropilot.errors import SettingsError
from gyropilot.kubernetes.login import configuration
from gyropilot.settings import KubernetesSettings

NEXT = "set kubernetes.kubeconfig in gyropilot.yaml, GYROPILOT_KUBERNETES__KUBECONFIG, --kubeconfig or $KUBECONFIG"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, outside any cluster."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def kubeconfig(path: Path, *names: str, **changes: Any) -> Path:
    """A kubeconfig of these contexts, each of a cluster of the same name; the first is the current one."""
    config = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443"}} for name in names],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in names],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "current-context": names[0],
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
    return path


def refused(**told: Any) -> str:
    with pytest.raises(SettingsError) as problem:
        configuration(KubernetesSettings(**told))
    return str(problem.value)


def test_the_file_told_comes_before_the_environment_and_that_before_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, environment = kubeconfig(home / "told", "a"), kubeconfig(home / "environment", "b")
    kubeconfig(home / ".kube" / "config", "c")

    of_home = configuration(KubernetesSettings()).host
    monkeypatch.setenv("KUBECONFIG", f"{home / 'absent'}:{environment}")
    of_environment = configuration(KubernetesSettings()).host

    assert (of_home, of_environment) == ("https://c:6443", "https://b:6443")
    assert configuration(KubernetesSettings(kubeconfig=told)).host == "https://a:6443"


def test_a_context_is_chosen_by_the_settings(home: Path) -> None:
    both = kubeconfig(home / "k", "a", "b")

    assert configuration(KubernetesSettings(kubeconfig=both, context="b")).host == "https://b:6443"


def test_a_file_that_is_not_there_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = f"no usable kubeconfig: {home / 'absent'} does not exist; {NEXT}"

    assert refused(kubeconfig=home / "absent") == absent
    monkeypatch.setenv("KUBECONFIG", str(home / "absent"))
    assert refused() == absent


def test_without_any_kubeconfig_and_outside_a_cluster_all_that_was_tried_is_named() -> None:
    assert refused() == (
        "no usable kubeconfig: ~/.kube/config does not exist, $KUBECONFIG is not set, and this is no pod of a cluster; "
        f"{NEXT}"
    )


def test_a_context_that_is_not_there_is_named_with_those_that_are(home: Path) -> None:
    file = kubeconfig(home / ".kube" / "config", "b", "a")

    assert refused(context="prod") == (
        "kubeconfig ~/.kube/config has no context prod; set kubernetes.context to one that it has: a, b"
    )
    assert refused(kubeconfig=file, context="prod").startswith(f"kubeconfig {file} has no context prod")


def test_a_kubeconfig_without_a_current_context_asks_for_one(home: Path) -> None:
    kubeconfig(home / ".kube" / "config", "a", **{"current-context": None})

    assert refused() == (
        "kubeconfig ~/.kube/config has no current-context; set kubernetes.context to one that it has: a"
    )


@pytest.mark.parametrize(
    "content",
    ["", "a: [", "- 1", "hello", "contexts: 3\ncurrent-context: a", "contexts: [{}]\ncurrent-context: a", "\0"],
)
def test_a_file_that_is_no_kubeconfig_is_named(home: Path, content: str) -> None:
    path = home / "k"
    path.write_text(content)

    said = refused(kubeconfig=path)

    assert said.startswith(f"no usable kubeconfig: {path} cannot be read (")
    assert said.endswith(NEXT)
    assert "\n" not in said


def test_in_a_pod_without_a_kubeconfig_the_account_of_the_pod_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    assert "Service token file does not exist" in refused()
    kubeconfig(home / ".kube" / "config", "a")
    assert configuration(KubernetesSettings()).host == "https://a:6443"
