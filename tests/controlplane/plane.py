"""A real Kubernetes control plane as plain processes on loopback, for tests."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from gyropilot.kubernetes.api import Api
from gyropilot.settings import KubernetesSettings
from tests.controlplane import parts
from tests.controlplane.processes import Running
from tests.controlplane.site import Site

Object = dict[str, Any]

_KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
_WIPED = (
    "/api/v1/pods",
    "/apis/batch/v1/jobs",
    *(f"{_KUEUE}/{kind}" for kind in ("workloads", "localqueues", "clusterqueues", "cohorts", "resourceflavors")),
    "/apis/karpenter.sh/v1/nodepools",
    "/api/v1/nodes",
)
_APPLY = "fieldManager=tests&force=true"
# To check the manifest itself, kubectl would first have the API server describe every kind anew, for seconds each time.
_AS_IT_IS = ("--server-side", "--validate=false")


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One answered request, as the API server wrote it down."""

    verb: str  # get, list, watch, create, update, patch, delete, deletecollection
    uri: str  # with the query, so that dryRun=All shows
    user: str  # the impersonated one where someone impersonates; empty: the login was not accepted
    code: int

    @property
    def reads(self) -> bool:
        """A read, a review of access, or a rehearsed write: nothing was stored."""
        return self.verb in ("get", "list", "watch") or "accessreviews" in self.uri or "dryRun=All" in self.uri


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The servers and ways to talk to them as administrator or as anyone else."""

    site: Site
    client: urllib3.PoolManager  # as administrator
    running: dict[str, Running] = field(default_factory=dict)

    @classmethod
    def started(cls, home: Path, more: Sequence[str] = ()) -> ControlPlane:
        """etcd and the API server, then `more` of the parts in `parts.COMMANDS`, in that order. Stop it afterwards."""
        home.mkdir(parents=True, exist_ok=True)
        site = Site(home.resolve())
        site.make_certificates()
        plane = cls(site, _administrator(site))
        try:
            for name in parts.COMMANDS:
                if name in ("etcd", "kube-apiserver", *more):
                    plane.start(name)
        except BaseException:
            plane.stop()
            raise
        return plane

    def start(self, name: str) -> None:
        """Start one part and wait until it is ready."""
        _PREPARATIONS.get(name, lambda _: None)(self)
        self.running[name] = Running.start(name, parts.COMMANDS[name](self.site), self.site)

    def stop(self, name: str | None = None) -> None:
        """Stop one part, or all."""
        for each in [name] if name else reversed(list(self.running)):
            self.running.pop(each).stop()
        if not self.running:
            self.client.clear()

    @property
    def kubeconfig(self) -> Path:
        return self.site.kubeconfig

    @property
    def ports(self) -> dict[str, int]:
        return self.site.ports

    def url(self, port: str) -> str:
        """Of a part that serves plain HTTP: `url("prometheus")`."""
        return f"http://{self.site.address(port)}"

    def settings(self, kubeconfig: Path | None = None, **more: Any) -> KubernetesSettings:
        return KubernetesSettings(kubeconfig=kubeconfig or self.kubeconfig, **more)

    def api(self, kubeconfig: Path | None = None, **more: Any) -> Api:
        """Gyropilot's own door, as administrator unless another kubeconfig is given."""
        return Api.connect(self.settings(kubeconfig, **more))

    def kubectl(self, *args: str, text: str | None = None) -> str:
        """Standard output of kubectl as administrator. Raises RuntimeError with what it said."""
        command = [f"{self.site.programs}/kubectl", f"--kubeconfig={self.kubeconfig}", *args]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(args)} failed: {done.stderr.strip()}")
        return done.stdout

    def apply(self, objects: Iterable[Object]) -> None:
        """Create or update objects, and their status where they have one (server-side apply)."""
        for each in objects:
            path = self.path_of(each)
            self.request("PATCH", f"{path}?{_APPLY}", {k: v for k, v in each.items() if k != "status"})
            if "status" in each:
                bare = {k: v for k, v in each.items() if k != "spec"}
                self.request("PATCH", f"{path}/status?{_APPLY}", bare)

    def delete(self, each: Object) -> None:
        self.request("DELETE", f"{self.path_of(each)}?gracePeriodSeconds=0")

    def path_of(self, each: Object) -> str:
        """The URL path of an object; its kind must be served."""
        version, meta = each["apiVersion"], each["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        served = self.request("GET", root)["resources"]
        plural = next(r["name"] for r in served if r["kind"] == each["kind"] and "/" not in r["name"])
        namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
        return f"{root}{namespace}/{plural}/{meta['name']}"

    def request(self, method: str, path: str, body: object = None) -> Object:
        """One request as administrator. Raises RuntimeError with the server's sentence when it refuses."""
        status, said = self._send(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {said.get('message', said)}")
        return said

    def _send(self, method: str, path: str, body: object = None) -> tuple[int, Object]:
        content = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        payload = json.dumps(body) if body is not None else None
        answer = self.client.request(method, self.site.server + path, body=payload, headers={"Content-Type": content})
        return answer.status, json.loads(answer.data)

    def install_crds(self, *names: str) -> None:
        """Serve the kinds of these projects ("kueue", "karpenter", "cluster-api", …) without running them."""
        for name in names:
            self.install((self.site.programs / "manifests" / "crds" / f"{name}.json").read_text())

    def install(self, manifest: str) -> None:
        """Create or update what a manifest lists, and wait until the kinds among it are served."""
        self.kubectl("apply", *_AS_IT_IS, "-f", "-", text=manifest)
        kinds = [each for each in json.loads(manifest)["items"] if each["kind"] == "CustomResourceDefinition"]
        crds = [f"crd/{each['metadata']['name']}" for each in kinds]
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *crds)

    def wipe(self) -> None:
        """Delete every pod, job, queue, workload, node pool and node; namespaces and roles stay."""
        for path in _WIPED:
            status, answer = self._send("GET", path)
            for item in answer["items"] if status == 200 else ():
                root, kind = path.rsplit("/", 1)
                meta = item["metadata"]
                namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
                self.request("DELETE", f"{root}{namespace}/{kind}/{meta['name']}?gracePeriodSeconds=0")

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A login by client certificate; it may nothing until a role is bound to it."""
        name = user.replace(":", "-").replace("/", "-")
        self.site.certify(name, "".join(f"/O={group}" for group in groups) + f"/CN={user}")
        return self.site.write_kubeconfig(self.site.home / f"{name}.kubeconfig", self.site.certificate_login(name))

    def kubeconfig_for_service_account(self, namespace: str, name: str) -> Path:
        """A login by token as an existing ServiceAccount."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = str(self.request("POST", path, request)["status"]["token"])
        return self.site.write_kubeconfig(self.site.home / f"{namespace}-{name}.kubeconfig", {"token": token})

    def grant(self, user: str, rules: Sequence[Object]) -> None:
        """Bind a ClusterRole of these rules to a user."""
        rbac, meta = "rbac.authorization.k8s.io", {"name": f"test-{user}"}
        subject = {"kind": "User", "name": user, "apiGroup": rbac}
        reference = {"kind": "ClusterRole", "name": meta["name"], "apiGroup": rbac}
        role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": meta, "rules": list(rules)}
        binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": meta}
        self.apply([role, {**binding, "roleRef": reference, "subjects": [subject]}])
        self._wait_allowed(user, rules[-1])

    def _wait_allowed(self, user: str, rule: Object) -> None:
        """The API server's authoriser learns of a binding a moment after it is stored."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        spec = {"user": user, **_attributes(rule)}
        until = time.monotonic() + 10
        while time.monotonic() < until:
            answer = self.request(
                "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {**review, "spec": spec}
            )
            if answer["status"]["allowed"]:
                return
            time.sleep(0.02)
        raise RuntimeError(f"the role granted to {user} has no effect")

    def wait_until(self, seen: Callable[[], bool], seconds: float = 60.0) -> None:
        """Until controllers have done their work. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > until:
                raise TimeoutError(f"not seen within {seconds:g} s")
            time.sleep(0.1)

    def audit(self, user: str | None = None) -> list[AuditEvent]:
        """Every request answered so far, oldest first; of one user only where named."""
        lines = (self.site.home / "audit.log").read_text().splitlines()
        events = [_audit_event(json.loads(line)) for line in lines]
        return [event for event in events if user in (None, event.user)]


def _administrator(site: Site) -> urllib3.PoolManager:
    pki = site.pki
    return urllib3.PoolManager(ca_certs=f"{pki}/ca.crt", cert_file=f"{pki}/admin.crt", key_file=f"{pki}/admin.key")


def _audit_event(line: Object) -> AuditEvent:
    user = line.get("impersonatedUser") or line["user"]
    code = (line.get("responseStatus") or {}).get("code", 0)
    return AuditEvent(line["verb"], line["requestURI"], user.get("username", ""), code)


def _attributes(rule: Object) -> Object:
    verb = rule["verbs"][0]
    if "nonResourceURLs" in rule:
        return {"nonResourceAttributes": {"verb": verb, "path": rule["nonResourceURLs"][0]}}
    resource, _, subresource = rule["resources"][0].partition("/")
    wanted = {"verb": verb, "group": rule["apiGroups"][0], "resource": resource, "subresource": subresource}
    return {"resourceAttributes": wanted}


def _apply_kueue(plane: ControlPlane) -> None:
    authority = base64.b64encode((plane.site.pki / "ca.crt").read_bytes()).decode()
    manifest = (plane.site.programs / "manifests" / "kueue" / "kueue.json").read_text()
    manifest = manifest.replace("@CA@", authority).replace("@WEBHOOK_PORT@", str(plane.ports["webhook"]))
    manifest = manifest.replace('"@VISIBILITY_PORT@"', str(plane.ports["visibility"]))
    plane.install(manifest)


def _apply_karpenter(plane: ControlPlane) -> None:
    plane.install((plane.site.programs / "manifests" / "karpenter" / "crds.json").read_text())


def _mint_scraper_token(plane: ControlPlane) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    plane.apply([{**account, "metadata": {"name": "scraper", "namespace": "kube-system"}}])
    subject = "system:serviceaccount:kube-system:scraper"
    plane.grant(subject, [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}])
    token = plane.kubectl("create", "token", "scraper", "-n", "kube-system", "--duration=24h")
    (plane.site.home / "scraper.token").write_text(token)


_PREPARATIONS = {"kueue": _apply_kueue, "karpenter": _apply_karpenter, "prometheus": _mint_scraper_token}
