"""What the API server must let us do, why, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gyropilot.errors import ForbiddenError, NotFoundError
from gyropilot.kubernetes.api import Api, understood
from gyropilot.settings import Settings

KUEUE, KARPENTER = "kueue.x-k8s.io", "karpenter.sh"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_READ = ("get", "list", "watch")
_OBSERVED = (
    ("", "nodes", "pools and their GPUs", True),
    ("", "pods", "idle GPUs, and demand where Kueue is absent", True),
    ("", "namespaces", "protection by annotation", False),
    ("batch", "jobs", "checkpoints and protection by annotation", False),
    (KUEUE, "clusterqueues", "queues and their quotas", True),
    (KUEUE, "localqueues", "which namespaces a queue serves", True),
    (KUEUE, "workloads", "running and pending GPUs", True),
    (KUEUE, "resourceflavors", "which pools a quota is about", True),
    (KUEUE, "cohorts", "quota that belongs to a cohort itself", False),
    (KARPENTER, "nodepools", "what sizes a pool", False),
)
_TURNED = (
    (KUEUE, "clusterqueues", "", "turn quotas"),
    (KUEUE, "workloads", "", "pause and resume workloads"),
    (KARPENTER, "nodepools", "", "turn the limits of dynamic pools"),
    (KARPENTER, "nodepools", "scale", "turn the size of static pools"),
)


@dataclass(frozen=True, slots=True)
class AccessNeed:
    """One thing that we want to be allowed."""

    verb: str
    group: str
    resource: str
    subresource: str
    why: str
    required: bool  # False: without it less is seen, and said
    fix: str  # the rule to add to a ClusterRole bound to us

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}{f'/{self.subresource}' if self.subresource else ''}"


def rule(group: str, resource: str, verbs: Iterable[str]) -> str:
    """An RBAC rule in YAML's one-line form."""
    listed = ", ".join(f'"{verb}"' for verb in verbs)
    return f'{{apiGroups: ["{group}"], resources: ["{resource}"], verbs: [{listed}]}}'


def observing_needs(settings: Settings) -> list[AccessNeed]:
    """To see the cluster: get, list and watch of what is read, and the scales that settings name as dials."""
    needs = [
        AccessNeed(verb, group, resource, "", why, required, rule(group, resource, _READ))
        for group, resource, why, required in _OBSERVED
        for verb in _READ
    ]
    return needs + [_need("get", *scale, "scale", "read a pool's dial", False) for scale in _told_scales(settings)]


def acting_needs(settings: Settings) -> list[AccessNeed]:
    """To turn dials. A rehearsal needs the same: the API server asks for the right before it forgets the write."""
    needs = [_need("patch", group, resource, sub, why, True) for group, resource, sub, why in _TURNED]
    needs.append(_need("get", KARPENTER, "nodepools", "scale", "read the size of static pools", True))
    for scale in _told_scales(settings):
        needs.append(_need("get", *scale, "", "see that nobody else sizes the pool", True))
        needs.append(_need("patch", *scale, "scale", "turn a pool's dial", True))
    return needs


def check_access(api: Api, needs: Iterable[AccessNeed]) -> list[tuple[AccessNeed, bool]]:
    """Ask the API server about each need. Raises KubernetesError when it does not answer."""
    return [(need, _allowed(api, need)) for need in needs]


def asked_as(api: Api) -> str:
    """Whom the API server takes us for; empty where it does not say (before Kubernetes 1.28)."""
    try:
        # It stores nothing anyhow; as a rehearsal it also passes a policy that refuses all but rehearsals.
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = api.rehearsing().create(_WHO, review)
    except (ForbiddenError, NotFoundError):
        return ""
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")


def served_versions(api: Api) -> Mapping[str, tuple[str, ...]]:
    """API groups and the versions that are served of each."""
    with understood(f"{api.host}/apis"):
        groups = api.get("/apis").get("groups") or ()
        return {group["name"]: tuple(v["version"] for v in group["versions"]) for group in groups}


def served_kinds(api: Api) -> dict[str, str | None]:
    """The custom kinds that are read or turned, as `{plural}.{group}`: the version served, None where absent."""
    wanted = {
        KUEUE: ("v1beta2", "v1beta1"),
        KARPENTER: ("v1",),
    }
    groups = served_versions(api)
    found: dict[str, str | None] = {}
    for group, versions in wanted.items():
        version = next((v for v in versions if v in groups.get(group, ())), None)
        plurals = _plurals(api, group, version) if version else set()
        for kind in (resource for each, resource, _, _ in _OBSERVED if each == group):
            found[f"{kind}.{group}"] = version if kind in plurals else None
    return found


def _plurals(api: Api, group: str, version: str) -> set[str]:
    try:
        return {resource["name"] for resource in api.get(f"/apis/{group}/{version}").get("resources") or ()}
    except NotFoundError:
        return set()


def _need(verb: str, group: str, resource: str, subresource: str, why: str, required: bool) -> AccessNeed:
    whole = f"{resource}/{subresource}" if subresource else resource
    return AccessNeed(verb, group, resource, subresource, why, required, rule(group, whole, [verb]))


def _told_scales(settings: Settings) -> list[tuple[str, str]]:
    """(group, plural) of each dial that settings name."""
    kinds = {pool.dial.split("/")[0].partition(".") for pool in settings.pools.values() if pool.dial}
    return sorted((group, plural) for plural, _, group in kinds)


def _allowed(api: Api, need: AccessNeed) -> bool:
    attributes = {
        "verb": need.verb,
        "group": need.group,
        "resource": need.resource,
        "subresource": need.subresource,
    }
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    answer = api.review(_REVIEWS, {**review, "spec": {"resourceAttributes": attributes}})
    return bool((answer.get("status") or {}).get("allowed"))
