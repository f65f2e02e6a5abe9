"""Settings: one YAML file, environment overrides, defaults. Each field says its unit and why it is so.

`gyropilot config schema` and `config sample` and docs/settings.md are made from these classes.
Durations are written `90s`, `15m`, `2h`, `14d`, or ISO 8601.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    field_validator,
    model_validator,
)

from gyropilot.domain import Dial, Market

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w)")
DURATION_PATTERN = r"^((\d+(\.\d+)?(ms|s|m|h|d|w))+|\+?P(?!$)(\d+(\.\d+)?[YMWD])*(T(\d+(\.\d+)?[HMS])+)?)$"
"""Both ways of writing a duration as text, for editors."""

_LONGEST = timedelta(days=3660)  # no time may be reckoned before the calendar begins
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(value: object) -> object:
    """`1h30m` as a timedelta; ISO 8601 (`PT90S`) and numbers of seconds are left to pydantic."""
    if isinstance(value, str) and re.fullmatch(
        rf"(?:{_DURATION.pattern.replace('?P<number>', '').replace('?P<unit>', '')})+", value
    ):
        seconds = sum(float(m["number"]) * _SECONDS[m["unit"]] for m in _DURATION.finditer(value))
        if seconds > _LONGEST.total_seconds():
            raise ValueError(f"takes at most {_LONGEST.days}d")
        return timedelta(seconds=seconds)
    if isinstance(value, str) and not value.startswith(("P", "+P", "-P")):
        raise ValueError("takes a duration such as 90s, 15m, 2h, 1h30m or 14d")
    return value


def _reckonable(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("takes no time before zero")
    if value > _LONGEST:
        raise ValueError(f"takes at most {_LONGEST.days}d")
    return value


def format_duration(value: timedelta) -> str:
    """The shortest of `14d`, `2h`, `15m`, `90s` that says the same."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def without_password(url: str) -> str:
    """The URL with `***` in place of a password, for showing."""
    return re.sub(r"(?<=://)([^/:@\s]*):[^/\s]*@", r"\1:***@", url)


def _masked(values: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(values, "***")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_reckonable),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
Url = Annotated[str, PlainSerializer(without_password, return_type=str, when_used="json")]
Headers = Annotated[dict[str, str], PlainSerializer(_masked, return_type=dict[str, str], when_used="json")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _read_crontab(expression: str) -> str:
    # Imported here, because only those who tell one pay for the scheduler's import.
    from gyropilot.crontab import triggers

    triggers(expression)
    return expression


Crontab = Annotated[str, AfterValidator(_read_crontab)]


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as problem:
        raise ValueError(f"no time zone {name!r}; take an IANA name such as Europe/Berlin") from problem
    return name


def _day_or_time(value: object) -> object:
    """`2026-12-24` as a day; everything else is left to pydantic, which would take it for midnight."""
    plain_date = isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
    return date.fromisoformat(str(value)) if plain_date else value


TimeZone = Annotated[str, AfterValidator(_known_timezone)]
DayOrTime = Annotated[datetime | date, BeforeValidator(_day_or_time)]


class Section(BaseModel):
    """A group of settings; unknown names are errors, so that a typing mistake is never silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PrometheusSettings(Section):
    """Where demand history is read from."""

    url: Url = Field("", description="Base URL, with any path prefix. Empty is allowed for `config` and `demo` only.")
    bearer_token: SecretStr | None = Field(
        None, description="Sent as `Authorization: Bearer`. Prefer the file: it can rotate."
    )
    bearer_token_file: Path | None = Field(
        None, description="Read again before each request, because such tokens rotate."
    )
    username: str | None = Field(None, description="For basic auth, with `password`.")
    password: SecretStr | None = Field(None, description="For basic auth, with `username`.")
    ca_file: Path | None = Field(
        None, description="PEM bundle to trust instead of the system's, for private authorities."
    )
    insecure_skip_verify: bool = Field(False, description="Trust any certificate. Only for a test set-up.")
    tenant: str | None = Field(None, description="Sent as `X-Scope-OrgID` (Mimir, Cortex, Thanos receive).")
    headers: Headers = Field(default_factory=dict, description="More headers to send with every query.")
    timeout: Duration = Field(
        timedelta(seconds=60),
        gt=timedelta(0),
        description="For one request; range queries over weeks are slow on cold disks.",
    )
    retries: int = Field(
        2, ge=0, le=10, description="On connection errors, 429, 502, 503 and 504; each waits twice as long."
    )
    history: Duration = Field(
        timedelta(days=28), description="How far back demand is read: four weeks show a weekly rhythm."
    )
    step: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=15),
        description="Grid of the history. Finer costs memory, not accuracy.",
    )
    max_age: Duration = Field(
        timedelta(minutes=5), description="An older newest reading refuses the observation: less sight, less action."
    )
    queue_label: str = Field(
        "",
        description="Pod label that names the queue where Kueue's metrics are absent, e.g. `team`.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Only series with these are read: `{cluster: prod-1}` where one store holds several clusters.",
    )


class KubernetesSettings(Section):
    """Where nodes, queues and workloads are read from."""

    kubeconfig: Path | None = Field(
        None, description="Not told: $KUBECONFIG, ~/.kube/config, then the pod's own service account."
    )
    context: str | None = Field(None, description="Context of the kubeconfig. Not told: its current one.")
    connect_timeout: Duration = Field(timedelta(seconds=5), gt=timedelta(0), description="To open a connection.")
    read_timeout: Duration = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="For one answer; a page of 500 objects takes well under a second.",
    )
    retries: int = Field(2, ge=0, le=10, description="Of reads, on broken connections. Writes are never repeated.")
    page_size: int = Field(500, ge=1, le=10000, description="Objects per page of a list: bounds memory on both sides.")
    pool_label: str = Field(
        "",
        description="Node label that names the pool. Empty: Karpenter's, the cloud's, then the GPU model.",
    )
    queue_label: str = Field(
        "",
        description="Pod label that names the queue where Kueue is absent. Empty: the namespace.",
    )
    checkpoint_annotation: str = Field(
        "gyropilot.io/last-checkpoint", description="On a Workload, Job or pod: RFC 3339 time of the last checkpoint."
    )
    protect_annotation: str = Field(
        "gyropilot.io/protected",
        description="On a Workload, Job, pod or namespace: `true` or a reason; it is never touched.",
    )


class ForecastSettings(Section):
    """How demand is forecast."""

    model: Literal[
        "gyropilot",
        "auto",
        "seasonal-naive",
        "naive",
        "ets",
        "stl",
        "arima",
        "ridge",
        "boosting",
        "lightgbm",
        "analog",
        "jobs",
        "forest",
        "profile",
        "anomaly",
        "smoothing",
        "foundation",
    ] = Field(
        "gyropilot",
        description="`gyropilot` listens to several as far as they were right of late, and learns at each cycle; "
        "`auto` takes, per horizon bucket, what was best on the last days of the history.",
    )
    horizons: tuple[Duration, ...] = Field(
        tuple(timedelta(minutes=m) for m in (5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 960, 1200, 1440)),
        min_length=1,
        description="How far ahead; up to a day, because lead times and pay-back of nodes lie within it.",
    )
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99),
        min_length=3,
        description="Capacity is bought at the tail, so it is denser there. 0.1, 0.5 and 0.9 must be among them.",
    )
    fit_at: Crontab = Field("0 3 * * *", description="Cron (UTC) of the nightly fit; quiet hours on most clusters.")
    early_fit_after: Duration = Field(
        timedelta(hours=3),
        gt=timedelta(0),
        description="Where demand has shifted, a fit does not wait for the night; at most one in so long.",
    )
    state: str | None = Field(
        None,
        description="File in which what was learnt is kept, so that a restart needs no fit. Not told: beside the "
        "journal, `gyropilot.forecast`. Empty: none.",
    )
    save_every: Duration = Field(
        timedelta(minutes=15),
        ge=timedelta(seconds=1),
        description="How often it is written, besides after each fit and at the end: 200 MB for a thousand queues.",
    )
    max_state_age: Duration = Field(
        timedelta(days=2), description="What was fitted longer ago is fitted anew at a start: two nights were missed."
    )

    @field_validator("horizons", "quantiles")
    @classmethod
    def _ascending(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("must ascend without repeats")
        return values

    @field_validator("quantiles")
    @classmethod
    def _told_with(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not {0.1, 0.5, 0.9} <= set(values):
            raise ValueError("must hold 0.1, 0.5 and 0.9: medians and intervals are told with them")
        return values


class Span(Section):
    """From `start` to `end`; a date without a time begins with its day, and as an end lasts until its day is over."""

    start: DayOrTime = Field(description="A date or a time; without an offset it is in `timezone`.")
    end: DayOrTime = Field(description="Likewise. A date is included, a time is not.")
    timezone: TimeZone = Field("UTC", description="IANA name, e.g. `Europe/Berlin`; daylight saving is followed.")

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        begins, ends = self.times()
        if ends <= begins:
            raise ValueError(f"ends at {self.end}, which is not after its start {self.start}; swap or correct them")
        return self

    def times(self) -> tuple[datetime, datetime]:
        """Beginning and end as times with an offset."""
        zone = ZoneInfo(self.timezone)
        return _localised(self.start, zone, days=0), _localised(self.end, zone, days=1)


def _localised(moment: datetime | date, zone: ZoneInfo, days: int) -> datetime:
    """A date as the midnight that is `days` after it begins; a time without an offset is in `zone`."""
    if isinstance(moment, datetime):
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return datetime.combine(moment + timedelta(days=days), time(0), zone)


class CalendarEvent(Span):
    """Days or hours that are unlike others, as people know beforehand."""

    name: str = Field(
        description="E.g. `release freeze`. Entries of one name and the same queues are occurrences of one event."
    )
    kind: Literal["holiday", "deadline", "maintenance", "event"] = Field(
        "event", description="Said in brackets after its name."
    )
    queues: tuple[str, ...] = Field((), description="Queues that it is for. Empty: all.")


class Reservation(Span):
    """GPUs that a queue was promised, or has announced to need, for a time."""

    queue: str = Field(description="Its name, as the forecast names it.")
    gpus: int = Field(gt=0, description="GPUs.")
    resource: str = Field("nvidia.com/gpu", description="Of which accelerator resource.")


class CalendarSettings(Section):
    """What people know beforehand."""

    timezone: TimeZone = Field(
        "UTC",
        description="Where the users are: forecasts go by their hours and weekdays, daylight saving followed.",
    )
    weekend: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        ("sat", "sun"),
        description="Days off, as the forest is told them. "
        "`profile` and `anomaly` find a queue's own weekends in its demand.",
    )
    events: tuple[CalendarEvent, ...] = Field(
        (),
        description="Holidays, deadlines, maintenance: past ones tell what the next of that name does to demand. "
        "They move a forecast as far as earlier occurrences foretold later ones.",
    )
    reservations: tuple[Reservation, ...] = Field((), description="Announced needs. Past ones tell who keeps to them.")


class PilotSettings(Section):
    """Who decides how much."""

    name: Literal["hold", "static", "reactive", "threshold", "ces", "newsvendor", "receding", "learned"] = Field(
        "newsvendor",
        description="`hold` wants nothing; `static` keeps one size; `reactive` follows pending work; `threshold` keeps "
        "a share of GPUs in use; `ces` lets nodes go when demand falls; `newsvendor` buys the quantile that prices "
        "imply; `receding` plans hours ahead, anew each time.",
    )
    static_quantile: float = Field(0.95, gt=0, lt=1, description="Static: size for this quantile of past demand.")
    scale_down_after: Duration = Field(
        timedelta(minutes=10), description="Reactive: idle this long before a node goes, as autoscalers do."
    )
    dead_band_gpus: int = Field(
        1, ge=0, description="Smaller differences are left alone: each change has a price of its own."
    )
    pay_back: Duration = Field(
        timedelta(hours=1),
        description="Newsvendor: a node is bought for the mean demand this long after its lead time; "
        "boot and image pulls are paid too.",
    )
    stabilisation: Duration = Field(
        timedelta(hours=1),
        description="Newsvendor: pools and quotas shrink only to the largest demand forecast within it; "
        "a dip is not worth buying back.",
    )
    giving_quantile: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Newsvendor: a queue gives only quota above this quantile of its demand; it rarely misses it.",
    )
    threshold_target: float = Field(
        0.8, gt=0, le=1, description="Threshold: share of GPUs that is to be in use; the rest is there for what comes."
    )
    threshold_tolerance: float = Field(
        0.1, ge=0, lt=1, description="Threshold: a size that is off by a smaller share is left, as the HPA does."
    )
    cooldown: Duration = Field(
        timedelta(minutes=5),
        description="Threshold: shrinks to the largest size wanted within it; the HPA's and KEDA's default.",
    )
    ces_past: Duration = Field(
        timedelta(hours=1), description="Ces: demand must have fallen below its mean over this; nodes do not flap."
    )
    ces_ahead: Duration = Field(
        timedelta(hours=3), description="Ces: demand must be forecast to fall on the mean over this; half a shift."
    )
    ces_past_fall_nodes: float = Field(
        0.5, ge=0, description="Ces: nodes by which demand must have fallen before any go: quiet is no reason yet."
    )
    ces_coming_fall_nodes: float = Field(
        -1.0, description="Ces: nodes by which demand must be forecast to fall before any go; below 0: may rise by."
    )
    ces_least_nodes: int = Field(1, ge=1, description="Ces: fewer are not let go; it is not worth a turn of the dial.")
    ces_buffer_nodes: int = Field(5, ge=0, description="Ces: on beyond what is in use, for what comes meanwhile.")
    ces_keep: Duration = Field(timedelta(hours=2), description="Ces: so long after waking nodes none are let go.")
    receding_horizon: Duration = Field(
        timedelta(hours=4),
        description="Receding: plans so far beyond the longest lead time; less than nodes need to pay back is costly.",
    )
    receding_quantile: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Receding: what is planned for lies about this quantile of demand; higher is safer.",
    )
    receding_paths: int = Field(
        5, ge=1, le=25, description="Receding: courses of demand weighed against each other; 1 is the quantile alone."
    )
    receding_start_up: Duration = Field(
        timedelta(minutes=10), description="Receding: of a node's price, paid for nothing when it is bought."
    )
    network: Path | None = Field(
        None,
        description="Learned: the folder that `gyropilot train` wrote. The pilot that it corrects comes with it, "
        "settings included; only `preempt` is still yours to forbid.",
    )
    preempt: bool = Field(True, description="May want GPUs back from borrowers when a queue's guaranteed share waits.")


class PoolSettings(Section):
    """What is true of one pool and cannot be read from the cluster. Absent fields: `pool_defaults`."""

    provider: str | None = Field(None, description="For the report, and for prices. Not told: the node label.")
    region: str | None = Field(None, description="For carbon and data locality. Not told: the node label.")
    market: Market | None = Field(None, description="Not told: Karpenter's capacity-type label, else on-demand.")
    min_nodes: int | None = Field(None, ge=0, description="Nodes. Never fewer.")
    max_nodes: int | None = Field(None, ge=0, description="Nodes. Never more.")
    gpus_per_node: int | None = Field(
        None, ge=1, description="GPUs. Only for a pool without nodes, of which it cannot be read."
    )
    lead_time: Duration | None = Field(None, description="From asking for a node to its GPUs being usable.")
    price_usd_per_gpu_hour: float | None = Field(None, ge=0, description="USD per GPU-hour, as billed.")
    watts_idle_per_gpu: float | None = Field(
        None, ge=0, description="W per GPU with its share of the node, doing nothing."
    )
    watts_busy_per_gpu: float | None = Field(
        None, ge=0, description="W per GPU with its share of the node, under load."
    )
    carbon_g_per_kwh: float | None = Field(None, ge=0, description="g CO2e per kWh of its grid.")
    dial: str | None = Field(
        None,
        description="What scales it: `machinedeployments.cluster.x-k8s.io/gpu/h100`. Not told: its Karpenter NodePool.",
    )


class PoolDefaults(Section):
    """For pools about which nothing is told; every use is said aloud in the report."""

    lead_time: Duration = Field(
        timedelta(minutes=6), description="An assumption: from request to device plug-in ready."
    )
    price_usd_per_gpu_hour: float = Field(
        2.5, ge=0, description="USD. An assumption, low for an H100 on demand; tell your own."
    )
    spot_discount: Share = Field(0.6, description="Share of the price saved on spot; an assumption.")
    watts_idle_per_gpu: float = Field(
        100.0, ge=0, description="W. An assumption for an idle H100 with its share of the host."
    )
    watts_busy_per_gpu: float = Field(
        900.0, ge=0, description="W. An assumption for a loaded H100 (700 W) with its share of the host."
    )
    carbon_g_per_kwh: float = Field(400.0, ge=0, description="g CO2e per kWh. An assumption; tell your grid's.")


class QueueSettings(Section):
    """What is true of one queue and cannot be read from the cluster. Absent fields: `queue_defaults`."""

    guaranteed_gpus: int | None = Field(
        None, ge=0, description="GPUs. Its quota is never lowered below. Not told: `guardrails.guaranteed_share`."
    )
    weight: float | None = Field(None, gt=0, description="Relative. Not told: Kueue's fair-sharing weight.")
    target_wait: Duration | None = Field(None, description="What its users accept.")
    waiting_usd_per_gpu_hour: float | None = Field(
        None, ge=0, description="USD. What one GPU-hour of waiting costs its users."
    )
    budget_usd_per_day: float | None = Field(None, ge=0, description="USD. Not told: no budget of its own.")
    regions: tuple[str, ...] = Field((), description="Where its data may be used. Empty: anywhere.")
    allowed_pools: tuple[str, ...] = Field((), description="Pools it may use. Empty: all.")
    protected: bool = Field(False, description="No workload of it is ever paused and no quota of it lowered.")


class QueueDefaults(Section):
    """For queues about which nothing is told."""

    target_wait: Duration = Field(timedelta(minutes=10), description="An assumption; tell what your users accept.")
    waiting_usd_per_gpu_hour: float = Field(
        10.0,
        ge=0,
        description="USD. Four times the default GPU price: buys capacity at the 80 % quantile (10 / (10 + 2.5)).",
    )


class FreezeWindow(Section):
    """A time in which nothing is turned: recurring (`start` + `duration`) or once (`begins` + `ends`)."""

    name: str = Field(description="Said in the objection, e.g. `payday`.")
    start: Crontab | None = Field(
        None, description="Cron expression of each beginning, in `timezone`, e.g. `0 18 * * fri`."
    )
    duration: Duration | None = Field(None, description="How long each lasts.")
    begins: datetime | None = Field(
        None, description="Beginning of a single window; without an offset it is in `timezone`."
    )
    ends: datetime | None = Field(None, description="End of a single window; without an offset it is in `timezone`.")
    timezone: TimeZone = Field("UTC", description="IANA name, e.g. `Europe/Berlin`; daylight saving is followed.")
    dials: tuple[Dial, ...] = Field((), description="Dials it freezes. Empty: all.")

    @model_validator(mode="after")
    def _whole(self) -> FreezeWindow:
        recurring, once = (self.start, self.duration), (self.begins, self.ends)
        if not ((all(recurring) and not any(once)) or (all(once) and not any(recurring))):
            raise ValueError("give `start` and `duration`, or `begins` and `ends`")
        return self


class GuardrailSettings(Section):
    """What holds Gyropilot back."""

    pause: bool = Field(
        False, description="Hands off, everything. One queue: annotate its ClusterQueue `gyropilot.io/paused: true`."
    )
    max_state_age: Duration = Field(timedelta(minutes=3), description="A decision on an older picture is held back.")
    guaranteed_share: Share = Field(
        0.5,
        description="Of a queue's quota before Gyropilot ever turned it: its floor, if not told.",
    )
    max_step_share: Share = Field(
        0.25,
        description="Of a dial's value, per action: a wrong step stays small. At least one node or GPU is allowed.",
    )
    max_step_gpus: int = Field(64, ge=0, description="GPUs per action, whatever the share says.")
    budget_window: Duration = Field(timedelta(hours=24), description="Over which the budgets below count.")
    max_added_usd: float = Field(2000.0, ge=0, description="USD per window that growth of pools may add.")
    max_moved_gpus: int = Field(128, ge=0, description="GPUs per window, each of quota, of pools and of pauses.")
    max_lost_gpu_hours: float = Field(40.0, ge=0, description="GPU-hours of work per window thrown away by pausing.")
    cooldown: Duration = Field(
        timedelta(minutes=10), description="Between two turns of one dial, so that effects are seen first."
    )
    reversal_cooldown: Duration = Field(
        timedelta(minutes=30), description="Before a dial is turned back the other way: stops see-sawing."
    )
    min_runtime: Duration = Field(timedelta(minutes=30), description="A workload younger than this is not paused.")
    max_preemptions: int = Field(2, ge=0, description="A workload taken back this often is left to finish.")
    protected_namespaces: tuple[str, ...] = Field(
        ("kube-system", "kube-public", "kube-node-lease"), description="Nothing in them is ever paused."
    )
    protected_priority: int = Field(
        1_000_000_000, description="Workloads of at least this priority are never paused (system classes)."
    )
    freeze_windows: tuple[FreezeWindow, ...] = Field((), description="Times in which nothing is turned.")


class JournalSettings(Section):
    """Where every cycle is written down."""

    url: Url = Field(
        "sqlite:///gyropilot.db", description="SQLAlchemy URL; `postgresql+psycopg://…` with the `postgres` extra."
    )
    keep: Duration = Field(
        timedelta(days=90), description="Older cycles are dropped; a quarter answers most questions."
    )


class DaemonSettings(Section):
    """How `gyropilot run` paces itself."""

    interval: Duration = Field(
        timedelta(minutes=1), ge=timedelta(seconds=1), description="Between the beginnings of two cycles."
    )
    max_pause: Duration = Field(
        timedelta(minutes=15), description="The pause doubles after each failed cycle, up to this."
    )
    listen: str = Field("0.0.0.0", description="Address of /metrics and /healthz.")
    port: int = Field(9464, ge=0, le=65535, description="Port of /metrics and /healthz. 0 takes a free one.")


class Settings(Section):
    """Everything Gyropilot can be told."""

    prometheus: PrometheusSettings = Field(PrometheusSettings(), description="Where demand history is read from.")
    kubernetes: KubernetesSettings = Field(
        KubernetesSettings(), description="Where nodes, queues and workloads are read from."
    )
    forecast: ForecastSettings = Field(ForecastSettings(), description="How demand is forecast.")
    calendar: CalendarSettings = Field(CalendarSettings(), description="What people know beforehand.")
    pilot: PilotSettings = Field(PilotSettings(), description="Who decides how much.")
    guardrails: GuardrailSettings = Field(GuardrailSettings(), description="What holds Gyropilot back.")
    journal: JournalSettings = Field(JournalSettings(), description="Where every cycle is written down.")
    daemon: DaemonSettings = Field(DaemonSettings(), description="How `gyropilot run` paces itself.")
    pool_defaults: PoolDefaults = Field(PoolDefaults(), description="For pools about which nothing is told.")
    queue_defaults: QueueDefaults = Field(QueueDefaults(), description="For queues about which nothing is told.")
    pools: dict[str, PoolSettings] = Field(default_factory=dict, description="By pool name.")
    queues: dict[str, QueueSettings] = Field(default_factory=dict, description="By queue name.")
