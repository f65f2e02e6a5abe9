"""The public originals of GPU traces: what they are, where they are, and how they are fetched.

Addresses name a commit or a release where there is one, so that what is there cannot change unseen. Checksums are those
that the publishers tell: Alibaba in its README, the others in their Git LFS pointers. Where none is told, `sha256` is
None, and what is fetched is taken as it comes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gyropilot.errors import SettingsError, UnreachableError

if TYPE_CHECKING:
    import requests

Told = Callable[[int, int | None], object]
"""Is told the bytes that are here, and all of them where that is known."""

PATIENCE_S = 30.0
CHUNK = 1 << 20
OFFLINE = "without it, `gyropilot traces generate` makes jobs like those of philly, helios and pai"


@dataclass(frozen=True, slots=True)
class Original:
    """One public file."""

    name: str
    what: str
    licence: str
    address: str
    size_bytes: int | None  # None: not told by its publisher
    sha256: str | None  # None: not told by its publisher

    @property
    def file(self) -> str:
        """The name of its file: that of the original behind its own name, for many are called alike."""
        return f"{self.name}-{PurePosixPath(urlsplit(self.address).path).name}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here."""

    path: Path
    sha256: str
    new: bool  # False: it was here before


_PAI = "https://aliopentrace.oss-cn-beijing.aliyuncs.com/v2020GPUTraces"
_PAI_LICENCE = "none stated; cite NSDI'22"
_BURSTGPT = "https://github.com/HPMLL/BurstGPT/raw/5d93d820d9b6bee4e26914df003e5713538164ae/data"
_AZURE = "https://raw.githubusercontent.com/Azure/AzurePublicDataset/790921015d50dd6aae7f7e47f39ba0e235ad6b08/data"
_AZURE_2024 = "https://github.com/Azure/AzurePublicDataset/releases/download/dataset-llm-2024"

ORIGINALS = (
    Original(
        "philly-traces",
        "117,325 jobs of Microsoft's Philly, 2017: attempts, states, users, virtual clusters, utilisation",
        "CC BY 4.0; cite ATC'19",
        "https://github.com/msr-fiddle/philly-traces/raw/9425c49842ff332bf748967fd7ff0ab64112ad10/trace-data.tar.gz",
        1_055_988_361,
        "2037ccf63a725a02be718b0e1aeee6142c90b7f62d0d849295120e9f6ba13d2c",
    ),
    Original(
        "helios-data",
        "SenseTime's Helios, 2020: 3.4 million jobs of four clusters with users and end states",
        "CC BY 4.0; cite SC'21",
        "https://github.com/S-Lab-System-Group/HeliosData/archive/159f0caeec16600b9b6017862952a36aae01c43f.zip",
        None,
        None,
    ),
    Original(
        "pai-jobs",
        "Alibaba PAI, 2020, jobs: users, states, begin and end",
        _PAI_LICENCE,
        f"{_PAI}/pai_job_table.tar.gz",
        62_065_432,
        "5aad7f7caac501136d14ed6a48e40546f825d7b0617a3a4f337e2348fe0a6cb0",
    ),
    Original(
        "pai-tasks",
        "Alibaba PAI, 2020, tasks of those jobs: instances and GPUs asked for",
        _PAI_LICENCE,
        f"{_PAI}/pai_task_table.tar.gz",
        35_514_117,
        "cd1d6dc3215d2a8607ccf6b6dd952b5db776df86926c73259fea7c1499ac40e5",
    ),
    Original(
        "openb",
        "Alibaba, 2023: 8,152 pods of a cluster that shares GPUs",
        "none stated; cite ATC'23",
        "https://raw.githubusercontent.com/alibaba/clusterdata/50a91c7c74abe3b658188dc78ac1dd302970d40c/"
        "cluster-trace-gpu-v2023/csv/openb_pod_list_default.csv",
        None,
        None,
    ),
    Original(
        "burstgpt-1",
        "BurstGPT, months 1 and 2: 1.4 million requests to GPT models with token counts",
        "CC BY 4.0",
        f"{_BURSTGPT}/BurstGPT_1.csv",
        52_283_111,
        "4bb3783693d0a435686fbfc885615d2349bd067239079fa4b749f2e679e12122",
    ),
    Original(
        "burstgpt-2",
        "BurstGPT, months 3 and 4: 3.9 million requests",
        "CC BY 4.0",
        f"{_BURSTGPT}/BurstGPT_2.csv",
        144_819_209,
        "44bf5942b03fca42c01a226a545ad3a750ec62688faecd67b6831c56a8928bf7",
    ),
    Original(
        "azure-llm-2023",
        "Azure, 2023: an hour of requests to a conversation model with token counts",
        "CC BY",
        f"{_AZURE}/AzureLLMInferenceTrace_conv.csv",
        None,
        None,
    ),
    Original(
        "azure-llm-2024",
        "Azure, 2024: a week of requests to a conversation model with token counts",
        "CC BY",
        f"{_AZURE_2024}/AzureLLMInferenceTrace_conv_1week.csv",
        None,
        None,
    ),
)


def original(name: str) -> Original:
    """The original of this name. Raises SettingsError naming those there are."""
    found = next((each for each in ORIGINALS if each.name == name), None)
    if found is None:
        raise SettingsError(f"{name!r} is no trace; there are {', '.join(each.name for each in ORIGINALS)}")
    return found


def fetch(wanted: Original, folder: Path, told: Told, replace: bool = False) -> Fetched:
    """The file in the folder, fetched unless it is there, and whole or not there at all.

    Raises SettingsError where another file is in its place or nothing can be written, and UnreachableError where it
    cannot be fetched or is not what its publisher tells.
    """
    path = folder / wanted.file
    if path.exists() and not replace:
        return _kept(wanted, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Fetched(path, _download(wanted, path, told), new=True)
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be written: {problem.strerror or problem}; give another --to, or make room"
        ) from problem


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kept(wanted: Original, path: Path) -> Fetched:
    """What is there already. Where no checksum is told nobody can say whether it is the original; it is left alone."""
    if not path.is_file():
        raise SettingsError(f"{path} is no file; move it away, or give another --to")
    found = sha256_of(path)
    if wanted.sha256 not in {None, found}:
        raise SettingsError(
            f"{path} is there and is not the original (sha256 {found}, published {wanted.sha256}); "
            "move it away, give another --to, or say --replace"
        )
    return Fetched(path, found, new=False)


def _download(wanted: Original, path: Path, told: Told) -> str:
    """Its checksum, once it is in its place."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        found = _receive(wanted, part, told)
        if wanted.sha256 not in {None, found}:
            raise UnreachableError(
                f"{wanted.address} gave another file than is published (sha256 {found}, published {wanted.sha256}); "
                f"nothing was kept. Try again later; {OFFLINE}"
            )
        part.replace(path)
        return found
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _receive(wanted: Original, part: Path, told: Told) -> str:
    digest, here = hashlib.sha256(), 0
    with part.open("wb") as file:
        for size, chunk in _chunks(wanted):
            file.write(chunk)
            digest.update(chunk)
            here += len(chunk)
            told(here, wanted.size_bytes or size)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _chunks(wanted: Original) -> Iterator[tuple[int | None, bytes]]:
    """The size that the server tells, and what it sends. Raises UnreachableError, also where it stops halfway."""
    import requests

    try:
        with requests.get(wanted.address, stream=True, timeout=PATIENCE_S) as answer:
            answer.raise_for_status()
            if wanted.address.startswith("https:") and not answer.url.startswith("https:"):
                raise UnreachableError(f"{wanted.address} leads to {answer.url}, which anyone can forge; {OFFLINE}")
            size = _size(answer)
            here = 0
            for chunk in answer.iter_content(CHUNK):
                here += len(chunk)
                yield size, chunk
    except requests.RequestException as problem:
        raise UnreachableError(f"{wanted.address} cannot be fetched: {_why(problem)}; {OFFLINE}") from problem
    if size is not None and here < size:
        raise UnreachableError(f"{wanted.address} stopped after {here:,} of {size:,} bytes; try again; {OFFLINE}")


def _size(answer: requests.Response) -> int | None:
    """None: not told, or told of the packed form in which it travels."""
    told = answer.headers.get("Content-Length", "")
    return int(told) if told.isdigit() and "Content-Encoding" not in answer.headers else None


def _why(problem: requests.RequestException) -> str:
    """In a few words: libraries wrap the reason several times."""
    if problem.response is not None:
        return f"the server answers {problem.response.status_code} {problem.response.reason}"
    inner: BaseException = problem
    while (deeper := getattr(inner, "reason", None) or next(iter(inner.args), None)) and isinstance(
        deeper, BaseException
    ):
        inner = deeper
    return " ".join(str(inner).split()).rpartition(">: ")[2] or type(inner).__name__
