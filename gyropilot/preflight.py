"""`gyropilot check`: everything that is needed, found or missing, with the fix. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from gyropilot.errors import KubernetesError, ObservationError, PrometheusError, SettingsError, UnreachableError
from gyropilot.kubernetes.access import (
    AccessNeed,
    acting_needs,
    asked_as,
    check_access,
    observing_needs,
    served_kinds,
)
from gyropilot.kubernetes.api import Api
from gyropilot.prometheus.queries import KUEUE_FIX, KUEUE_PENDING, KUEUE_RUNNING
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import Settings, without_password


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is needed, and whether it is there."""

    kind: str  # "server", "metric", "kind" or "permission"
    name: str
    why: str
    required: bool  # to plan; what only helps, or is needed to rehearse and act, is not
    found: bool
    fix: str  # what to do when it is missing
    exit_code: int = ObservationError.exit_code  # of a plan that lacks it

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "exit_code"}


def findings(settings: Settings, now: datetime) -> list[Finding]:
    """Servers, metrics, kinds and permissions, in the order in which a plan needs them."""
    return [*_prometheus(settings, now), *_kubernetes(settings)]


def _prometheus(settings: Settings, now: datetime) -> Iterator[Finding]:
    why = "history of demand"
    try:
        if not settings.prometheus.url:
            raise SettingsError("give --prometheus URL, or set prometheus.url or GYROPILOT_PROMETHEUS__URL")
        metrics = PrometheusReader(settings.prometheus, settings.kubernetes.pool_label).preflight(now)
    except (PrometheusError, ObservationError, SettingsError) as problem:
        name = f"Prometheus at {without_password(settings.prometheus.url) or '(no URL)'}"
        yield Finding("server", name, why, True, False, str(problem), problem.exit_code)
        return
    yield Finding("server", f"Prometheus at {settings.prometheus.url}", why, True, True, "")
    for metric in metrics:
        need = metric.need
        yield Finding("metric", need.name, need.answers, metric.blocking, metric.found, need.fix)


def _kubernetes(settings: Settings) -> Iterator[Finding]:
    why = "nodes, queues and workloads"
    try:
        api = Api.connect(settings.kubernetes)
        kinds, who = served_kinds(api), asked_as(api)
        observing = check_access(api, _served(observing_needs(settings), kinds))
        acting = check_access(api, _served(acting_needs(settings), kinds))
    except (KubernetesError, SettingsError) as problem:
        yield Finding("server", "Kubernetes API", why, True, False, str(problem), problem.exit_code)
        return
    whom = f", asked as {who}" if who else ""
    yield Finding("server", f"Kubernetes API at {api.host}{whom}", why, True, True, "")
    for kind, version in kinds.items():
        yield Finding(
            "kind", kind, "queues and quotas" if "kueue" in kind else "pools", False, bool(version), _install(kind)
        )
    for need, allowed in observing:
        yield _permission(need, need.why, need.required, allowed)
    for need, allowed in acting:
        yield _permission(need, f"{need.why}; only to rehearse and to act", False, allowed)


def _served(needs: Sequence[AccessNeed], kinds: Mapping[str, str | None]) -> list[AccessNeed]:
    """Without the kinds that this API server does not know: those are said to be absent already."""
    return [need for need in needs if kinds.get(f"{need.resource}.{need.group}", "known")]


def _permission(need: AccessNeed, why: str, required: bool, allowed: bool) -> Finding:
    fix = f"add to a ClusterRole bound to this account: {need.fix}"
    return Finding("permission", str(need), why, required, allowed, fix, UnreachableError.exit_code)


def _install(kind: str) -> str:
    if "kueue" in kind:
        return "install Kueue, or set kubernetes.queue_label to use pod labels as queues"
    return "install Karpenter, or name what scales a pool in pools.<name>.dial"


_TITLES = {"server": "Servers", "metric": "Metrics", "kind": "Kinds", "permission": "Permissions"}


def to_text(found: Sequence[Finding]) -> str:
    """What is there, then what is not with its fix, section by section; the verdict last."""
    lines: list[str] = []
    for kind, title in _TITLES.items():
        if section := [each for each in found if each.kind == kind]:
            lines += [title, *_section(section), ""]
    return "\n".join([*lines, *_verdict(found)])


def _section(found: Sequence[Finding]) -> Iterator[str]:
    told = _verbs_together(found)
    missing = sorted((each for each in told if not each.found), key=lambda each: not each.required)
    yield from (_line(each) for each in told if each.found)
    for fix in dict.fromkeys(each.fix for each in missing):
        yield from (_line(each) for each in missing if each.fix == fix)
        yield f"           → {fix}"


def _line(finding: Finding) -> str:
    mark = "found  " if finding.found else ("MISSING" if finding.required else "absent ")
    return f"  {mark}  {finding.name}: {finding.why}"


def _verbs_together(found: Sequence[Finding]) -> list[Finding]:
    """Permissions that differ by their verb alone as one: `get, list, watch nodes`."""
    verbs: dict[Finding, list[str]] = {}
    for each in found:
        verb, _, what = each.name.partition(" ") if each.kind == "permission" else ("", "", each.name)
        verbs.setdefault(replace(each, name=what), []).append(verb)
    return [replace(each, name=f"{', '.join(told)} {each.name}".lstrip()) for each, told in verbs.items()]


def _verdict(found: Sequence[Finding]) -> Iterator[str]:
    missing = [each for each in _verbs_together(found) if each.required and not each.found]
    there = {each.name for each in found if each.found}
    if missing:
        yield f"{len(missing)} required missing: {'; '.join(each.name for each in missing)}"
    elif "clusterqueues.kueue.x-k8s.io" not in there or {KUEUE_RUNNING, KUEUE_PENDING} <= there:
        yield "everything that a plan needs is there"
    else:
        yield (
            "a plan can be made, but Kueue runs and Prometheus does not know what waits in its queues: "
            f"forecasts will be too low; {KUEUE_FIX}"
        )
