"""How we log in to the cluster: by a kubeconfig, or as the pod that we run in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.config.kube_config import KubeConfigMerger

from gyropilot.errors import SettingsError
from gyropilot.settings import KubernetesSettings

_DEFAULT = "~/.kube/config"
_NEXT = "set kubernetes.kubeconfig in gyropilot.yaml, GYROPILOT_KUBERNETES__KUBECONFIG, --kubeconfig or $KUBECONFIG"
# A file of another form fails in the client wherever it happens to look first.
_UNREADABLE = (ConfigException, OSError, ValueError, yaml.YAMLError, AttributeError, LookupError, TypeError)


def configuration(settings: KubernetesSettings) -> Configuration:
    """Where the API server is and what it knows us by: of the kubeconfig told, else of $KUBECONFIG or
    ~/.kube/config, else of the pod. Raises SettingsError that names the file and what is missing in it.
    """
    found = Configuration()
    told = str(settings.kubeconfig or os.environ.get("KUBECONFIG") or "")
    files = told or _DEFAULT
    try:
        if _exists(files):
            _load(files, settings.context, found)
        elif settings.kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config(client_configuration=found)
        else:
            why = "" if told else ", $KUBECONFIG is not set, and this is no pod of a cluster"
            raise SettingsError(f"no usable kubeconfig: {files} does not exist{why}; {_NEXT}")
    except _UNREADABLE as problem:
        raise SettingsError(f"no usable kubeconfig: {files} cannot be read ({_cause(problem)}); {_NEXT}") from problem
    return found


def _exists(files: str) -> bool:
    return any(Path(name).expanduser().exists() for name in files.split(os.pathsep) if name)


def _load(files: str, context: str | None, found: Configuration) -> None:
    merged: dict[str, Any] = KubeConfigMerger(files).config.value
    names = [each["name"] for each in merged["contexts"]]
    wanted = context or merged.get("current-context")
    if not wanted:
        raise SettingsError(f"kubeconfig {files} has no current-context; set kubernetes.context to {_one_of(names)}")
    if wanted not in names:
        raise SettingsError(f"kubeconfig {files} has no context {wanted}; set kubernetes.context to {_one_of(names)}")
    load_kube_config(config_file=files, context=wanted, client_configuration=found)


def _one_of(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return f"one that it has: {', '.join(ordered[:5])}" if ordered else "that of a kubeconfig that has one"


def _cause(problem: Exception) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:300]
