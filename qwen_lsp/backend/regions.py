"""Which DashScope region a key belongs to: asked once, remembered under a hash of the key.

Promises that a key goes to DashScope's own hosts only, and that no file holds one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from qwen_lsp.core.dialects.dashscope import REGIONS
from qwen_lsp.core.model import BackendError, Kind, Secret
from qwen_lsp.private import write_private

PROBE_SECONDS = 5.0

PLAN_PREFIX = "sk-sp-"
PLAN_HOSTS: Mapping[str, str] = {
    "cn-beijing": "https://coding.dashscope.aliyuncs.com/v1",
    "ap-southeast-1": "https://coding-intl.dashscope.aliyuncs.com/v1",
}
"""Base URLs for keys of the Coding Plan, which other hosts refuse (Model Studio, Coding Plan)."""

_WORKSPACE_HOST = re.compile(rf"[a-z0-9_-]+\.({'|'.join(REGIONS)})\.maas\.aliyuncs\.com")


class Probe(Protocol):
    """A GET that gives status and decoded body; `Http.get_json` is one."""

    def __call__(self, url: str, *, key: Secret | None, timeout: float) -> Awaitable[tuple[int, object]]:
        """Raises BackendError when there is no reply in time."""


class Regions:
    """The regions of the keys seen so far, in a file that holds hashes. A file that can't be used costs a probe."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, key: Secret) -> str | None:
        """The region remembered for this key."""
        region = self._read().get(_digest(key))
        return region if region in REGIONS else None

    def remember(self, key: Secret, region: str) -> None:
        """Keeps the region for the next start."""
        self._write({**self._read(), _digest(key): region})

    def forget(self, key: Secret) -> None:
        """The service refused the key there: ask again next time."""
        known = self._read()
        if known.pop(_digest(key), None) is not None:
            self._write(known)

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {name: value for name, value in known.items() if isinstance(value, str)}

    def _write(self, known: Mapping[str, str]) -> None:
        try:
            write_private(self._path, json.dumps(known).encode())
        except OSError:
            return


async def find_region(key: Secret, candidates: Mapping[str, str], probe: Probe) -> str:
    """The region among the candidates (name to base URL) whose host takes the key; all are asked at once.

    Raises:
        BackendError: kind AUTH when all refuse it, NETWORK when some did not answer; CONFIG when none may be asked.
    """

    async def ask(region: str, base_url: str) -> tuple[str, int]:
        try:
            status, _ = await probe(f"{base_url}/models", key=key, timeout=PROBE_SECONDS)
        except BackendError as error:
            if error.kind is Kind.CONFIG:
                raise
            status = 0
        return region, status

    asked = [asyncio.ensure_future(ask(*candidate)) for candidate in candidates.items()]
    refused: list[str] = []
    try:
        for answer in asyncio.as_completed(asked):
            region, status = await answer
            if status == 200:
                return region
            if status in (401, 403):
                refused.append(region)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    raise _not_found(refused, [region for region in candidates if region not in refused])


def region_of(base_url: str) -> str | None:
    """The region whose host an address names, if it is one of DashScope's that belong to one region."""
    host = _host(base_url)
    if match := _WORKSPACE_HOST.fullmatch(host):
        return match[1]
    return next((region for region, shared in REGIONS.items() if host == shared), None)


def is_dashscope(base_url: str) -> bool:
    """Whether the address is one of DashScope's own hosts."""
    plan = {_host(url) for url in PLAN_HOSTS.values()}
    return region_of(base_url) is not None or _host(base_url) in plan


def _not_found(refused: list[str], silent: list[str]) -> BackendError:
    if not silent:
        return BackendError(
            Kind.AUTH,
            f"DashScope refuses the key in every region ({', '.join(refused)}): check DASHSCOPE_API_KEY",
        )
    if refused:
        return BackendError(
            Kind.NETWORK,
            f"the region of the DashScope key was not found: {', '.join(refused)} refused it, "
            f"{', '.join(silent)} gave no answer; set qwen.region",
        )
    return BackendError(
        Kind.NETWORK, "DashScope gives no answer; check the network and HTTPS_PROXY, or set qwen.region"
    )


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _digest(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode(errors="surrogateescape")).hexdigest()[:20]
