"""How a request to Prometheus proves who we are, and whom it trusts."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from gyropilot.errors import SettingsError
from gyropilot.settings import PrometheusSettings


def checked_url(url: str) -> str:
    """The base URL without its last slash. Raises SettingsError when it is none, or holds a secret."""
    try:
        parts = urlsplit(url.strip())
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        complete = False
    if not complete:
        raise SettingsError(f"prometheus.url {_shown(url)!r} is no URL; write http://host:9090 or https://host/prefix")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(
            f"prometheus.url {_shown(url)!r} holds more than an address; put the user into prometheus.username and "
            "prometheus.password, a token into prometheus.bearer_token_file, and leave out ?… and #…"
        )
    return url.strip().rstrip("/")


def _shown(url: str) -> str:
    """As much of it as holds no secret."""
    return re.sub(r"[?#].*|[^/]*@", "", url)


@dataclass(frozen=True, slots=True)
class Access:
    """Headers, credentials and trust of every request. Its `repr` shows none of them."""

    headers: Mapping[str, str] = field(repr=False)
    authorization: Callable[[], str | None] = field(repr=False)  # asked before each request: tokens rotate
    verify: bool | str
    has_credentials: bool

    @classmethod
    def of(cls, settings: PrometheusSettings) -> Access:
        """Raises SettingsError where settings contradict each other or name a file that is not there."""
        tenant = {"X-Scope-OrgID": settings.tenant} if settings.tenant else {}
        own = any(name.lower() == "authorization" for name in settings.headers)
        return cls(
            headers={**settings.headers, **tenant},
            authorization=_authorization(settings),
            verify=_verify(settings),
            has_credentials=own or bool(settings.bearer_token or settings.bearer_token_file or settings.username),
        )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """As requests' `auth`; being one, it also keeps ~/.netrc from overriding the token."""
        value = self.authorization()
        if value is not None:
            request.headers["Authorization"] = value
        return request


def _authorization(settings: PrometheusSettings) -> Callable[[], str | None]:
    told = [settings.bearer_token, settings.bearer_token_file, settings.username]
    if sum(one is not None for one in told) > 1:
        raise SettingsError(
            "prometheus: give one of bearer_token, bearer_token_file and username with password, not several"
        )
    if (settings.username is None) != (settings.password is None):
        raise SettingsError("prometheus.username and prometheus.password go together; give both or neither")
    if settings.username is not None and settings.password is not None:
        pair = f"{settings.username}:{settings.password.get_secret_value()}"
        return lambda: f"Basic {b64encode(pair.encode()).decode()}"
    if settings.bearer_token is not None:
        token = _bearer(settings.bearer_token.get_secret_value(), "prometheus.bearer_token")
        return lambda: token
    if settings.bearer_token_file is not None:
        path = settings.bearer_token_file
        return lambda: _bearer(_read(path), f"prometheus.bearer_token_file {path}")
    return lambda: None


def _bearer(token: str, source: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise SettingsError(f"{source} holds no usable token; write the token alone, on one line")
    return f"Bearer {token}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(
            f"prometheus.bearer_token_file {path} cannot be read ({type(problem).__name__}); "
            "check the path and that this user may read it"
        ) from problem


def _verify(settings: PrometheusSettings) -> bool | str:
    if settings.insecure_skip_verify:
        # Asked for by name in the settings: a warning at each request would say nothing new.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    if settings.ca_file is None:
        return True
    if not settings.ca_file.is_file():
        raise SettingsError(f"prometheus.ca_file {settings.ca_file} is not there; give the path of a PEM bundle")
    return str(settings.ca_file)
