"""Where a test control plane lives: its programs, its folder, its ports, its certificates."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
PORTS = (
    "etcd",
    "peer",
    "api",
    "controllers",
    "scheduler",
    "kwok",
    "webhook",
    "kueue-metrics",
    "kueue-health",
    "visibility",
    "karpenter-metrics",
    "karpenter-health",
    "state-metrics",
    "state-metrics-self",
    "prometheus",
)
SERVER_NAMES = (
    "IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
    "DNS:kueue-webhook-service.kueue-system.svc,DNS:kueue-visibility-server.kueue-system.svc"
)


def missing(*programs: str) -> str | None:
    """Why a control plane with these programs cannot be started here, and what to do; None when it can."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        return "set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl (setup-envtest unpacks them)"
    absent = [name for name in (*PROGRAMS, *programs) if not (Path(folder) / name).exists()]
    if absent:
        return f"put {', '.join(absent)} into KUBEBUILDER_ASSETS"
    return None if shutil.which("openssl") else "install openssl"


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A free port on loopback for each name; all are held until the last is found, so that they differ."""
    sockets = {name: socket.socket() for name in names}
    for held in sockets.values():
        held.bind(("127.0.0.1", 0))
    ports = {name: int(held.getsockname()[1]) for name, held in sockets.items()}
    for held in sockets.values():
        held.close()
    return ports


@dataclass(frozen=True, slots=True)
class Site:
    """Paths and ports of one control plane."""

    home: Path
    programs: Path = field(default_factory=lambda: Path(os.environ["KUBEBUILDER_ASSETS"]))
    ports: dict[str, int] = field(default_factory=lambda: free_ports(PORTS))

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.ports['api']}"

    def address(self, port: str) -> str:
        return f"127.0.0.1:{self.ports[port]}"

    def write_json(self, name: str, content: object) -> Path:
        path = self.home / name
        path.write_text(json.dumps(content))
        return path

    def make_certificates(self) -> None:
        """An authority, the servers' and the administrator's certificate, and the key that signs tokens."""
        self.pki.mkdir(parents=True, exist_ok=True)
        _openssl("req", "-x509", *_NEW_KEY, "-days", "30", "-subj", "/CN=ca", *self._out("ca", "crt"))
        _openssl("genrsa", "-out", f"{self.pki}/sa.key", "2048")
        _openssl("rsa", "-in", f"{self.pki}/sa.key", "-pubout", "-out", f"{self.pki}/sa.pub")
        self.certify("server", "/CN=server", SERVER_NAMES)
        self.certify("admin", "/O=system:masters/CN=admin")
        self.certify("proxy", "/CN=front-proxy")
        self.write_kubeconfig(self.kubeconfig, self.certificate_login("admin"))

    def certify(self, name: str, subject: str, server_names: str = "") -> None:
        """A key and a certificate for `subject`, signed by the authority."""
        extensions = self.pki / f"{name}.ext"
        usage = "extendedKeyUsage=serverAuth,clientAuth\n"
        extensions.write_text(usage + (f"subjectAltName={server_names}\n" if server_names else ""))
        _openssl("req", *_NEW_KEY, "-subj", subject, *self._out(name, "csr"))
        signing = ("-CA", f"{self.pki}/ca.crt", "-CAkey", f"{self.pki}/ca.key", "-CAcreateserial", "-days", "30")
        request, answer = ("-in", f"{self.pki}/{name}.csr"), ("-out", f"{self.pki}/{name}.crt")
        _openssl("x509", "-req", *request, *signing, "-extfile", str(extensions), *answer)

    def certificate_login(self, name: str) -> dict[str, str]:
        key, certificate = self.pki / f"{name}.key", self.pki / f"{name}.crt"
        return {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}

    def write_kubeconfig(self, path: Path, login: dict[str, str]) -> Path:
        """A kubeconfig for this API server with a certificate's or a token's login."""
        cluster = {"server": self.server, "certificate-authority-data": _base64(self.pki / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": login}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def _out(self, name: str, kind: str) -> tuple[str, ...]:
        return "-keyout", f"{self.pki}/{name}.key", "-out", f"{self.pki}/{name}.{kind}"


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*args: str) -> None:
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {args[0]} failed: {done.stderr.strip()}")


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
