"""How each program of the control plane is started: one function a program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.controlplane.site import Site

KUEUE_FIXED_CERTS = (Path("/etc/kueue/metrics/certs"), Path("/visibility"))
"""Read by Kueue's manager whatever its configuration says."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and the address that answers 200 when it is ready."""

    argv: tuple[str, ...]
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)


def etcd(site: Site) -> Command:
    client, peer = f"http://{site.address('etcd')}", f"http://{site.address('peer')}"
    return Command(
        (
            f"{site.programs}/etcd",
            f"--data-dir={site.home}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            "--name=n0",
            f"--initial-cluster=n0={peer}",
            "--unsafe-no-fsync",
        ),
        f"{client}/health",
    )


def api_server(site: Site) -> Command:
    """With real authentication and RBAC, and every request in audit.log."""
    pki, policy = site.pki, site.write_json("audit-policy.json", _AUDIT_POLICY)
    return Command(
        (
            f"{site.programs}/kube-apiserver",
            f"--etcd-servers=http://{site.address('etcd')}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={site.ports['api']}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--cert-dir={pki}",
            f"--tls-cert-file={pki}/server.crt",
            f"--tls-private-key-file={pki}/server.key",
            f"--client-ca-file={pki}/ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--proxy-client-cert-file={pki}/proxy.crt",
            f"--proxy-client-key-file={pki}/proxy.key",
            f"--requestheader-client-ca-file={pki}/ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={site.home}/audit.log",
            "--audit-log-maxsize=1000",
            # Without the controllers no namespace gets its default ServiceAccount, and pods would be refused.
            "--disable-admission-plugins=ServiceAccount",
        ),
        f"{site.server}/readyz",
    )


_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "None", "users": ["system:apiserver"]}, {"level": "Metadata"}],
}


def controllers(site: Site) -> Command:
    return Command(
        (
            f"{site.programs}/kube-controller-manager",
            *_logins(site),
            f"--kubeconfig={site.kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={site.ports['controllers']}",
            f"--root-ca-file={site.pki}/ca.crt",
            f"--service-account-private-key-file={site.pki}/sa.key",
            "--node-monitor-grace-period=1h",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            f"--cert-dir={site.pki}/controllers",
        ),
        f"https://{site.address('controllers')}/healthz",
    )


def scheduler(site: Site) -> Command:
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(site.kubeconfig), "qps": 500, "burst": 1000},
        "leaderElection": {"leaderElect": False},
    }
    return Command(
        (
            f"{site.programs}/kube-scheduler",
            f"--config={site.write_json('scheduler.json', config)}",
            *_logins(site),
            "--bind-address=127.0.0.1",
            f"--secure-port={site.ports['scheduler']}",
            "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
            f"--cert-dir={site.pki}/scheduler",
        ),
        f"https://{site.address('scheduler')}/healthz",
    )


def _logins(site: Site) -> tuple[str, str]:
    return f"--authentication-kubeconfig={site.kubeconfig}", f"--authorization-kubeconfig={site.kubeconfig}"


def kwok(site: Site) -> Command:
    """Plays the kubelets of nodes annotated `kwok.x-k8s.io/node: fake`."""
    return Command(
        (
            f"{site.programs}/kwok",
            f"--kubeconfig={site.kubeconfig}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            f"--config={site.programs}/kwok-stages.yaml",
            "--node-ip=127.0.0.1",
            "--node-lease-duration-seconds=40",
            "--cidr=10.244.0.0/16",
            f"--server-address={site.address('kwok')}",
        ),
        f"http://{site.address('kwok')}/healthz",
    )


def kueue(site: Site) -> Command:
    """Kueue's manager; its manifests must be applied first."""
    certs = site.home / "kueue-certs"
    for place in (certs, *KUEUE_FIXED_CERTS):
        _place_certificate(site, place)
    config = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": site.address("kueue-health")},
        "metrics": {"bindAddress": site.address("kueue-metrics"), "enableClusterQueueResources": True},
        "webhook": {"port": site.ports["webhook"], "host": "127.0.0.1", "certDir": str(certs)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "visibilityServer": {"bindAddress": "127.0.0.1", "bindPort": site.ports["visibility"]},
        "clientConnection": {"qps": 300, "burst": 500},
        "integrations": {"frameworks": ["batch/job"]},
    }
    config_file = site.write_json("kueue.json", config)
    argv = (f"{site.programs}/kueue", f"--kubeconfig={site.kubeconfig}", f"--config={config_file}")
    return Command((*argv, "--zap-log-level=2"), f"http://{site.address('kueue-health')}/readyz")


def _place_certificate(site: Site, place: Path) -> None:
    if (place / "tls.key").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(site.pki / "server.crt", place / "tls.crt")
    shutil.copy(site.pki / "server.key", place / "tls.key")


def karpenter(site: Site) -> Command:
    """Karpenter with its kwok provider: really makes and removes fake nodes; static pools are on."""
    env = {
        "KUBECONFIG": str(site.kubeconfig),
        "DISABLE_LEADER_ELECTION": "true",
        "METRICS_PORT": str(site.ports["karpenter-metrics"]),
        "HEALTH_PROBE_PORT": str(site.ports["karpenter-health"]),
        "INSTANCE_TYPES_FILE_PATH": str(site.programs / "instance-types.json"),
        "FEATURE_GATES": "StaticCapacity=true,NodeOverlay=true",
        "KARPENTER_SERVICE": "karpenter",
        "SYSTEM_NAMESPACE": "kube-system",
    }
    return Command((f"{site.programs}/karpenter-kwok",), f"http://{site.address('karpenter-health')}/healthz", env)


def state_metrics(site: Site) -> Command:
    return Command(
        (
            f"{site.programs}/kube-state-metrics",
            f"--kubeconfig={site.kubeconfig}",
            "--host=127.0.0.1",
            f"--port={site.ports['state-metrics']}",
            "--telemetry-host=127.0.0.1",
            f"--telemetry-port={site.ports['state-metrics-self']}",
            "--metric-labels-allowlist=pods=[*],nodes=[*],jobs=[*],namespaces=[*]",
            "--metric-annotations-allowlist=pods=[*]",
        ),
        f"http://{site.address('state-metrics-self')}/metrics",
    )


def prometheus(site: Site) -> Command:
    """Scrapes Kueue (with the token in scraper.token), kube-state-metrics and Karpenter every 5 s."""
    https = {"scheme": "https", "tls_config": {"insecure_skip_verify": True}}
    login = {"authorization": {"credentials_file": str(site.home / "scraper.token")}}
    jobs = [
        {"job_name": "kube-state-metrics", "honor_labels": True, **_target(site, "state-metrics")},
        {"job_name": "karpenter", **_target(site, "karpenter-metrics")},
        {"job_name": "kueue", **https, **login, **_target(site, "kueue-metrics")},
    ]
    config = site.write_json("prometheus.yml", {"global": {"scrape_interval": "5s"}, "scrape_configs": jobs})
    return Command(
        (
            str(shutil.which("prometheus")),
            f"--config.file={config}",
            f"--storage.tsdb.path={site.home}/prometheus",
            f"--web.listen-address={site.address('prometheus')}",
        ),
        f"http://{site.address('prometheus')}/-/ready",
    )


def _target(site: Site, port: str) -> dict[str, object]:
    return {"static_configs": [{"targets": [site.address(port)]}]}


COMMANDS: Mapping[str, Callable[[Site], Command]] = {
    "etcd": etcd,
    "kube-apiserver": api_server,
    "controllers": controllers,
    "scheduler": scheduler,
    "kwok": kwok,
    "kueue": kueue,
    "karpenter": karpenter,
    "state-metrics": state_metrics,
    "prometheus": prometheus,
}
"""In the order of starting."""
