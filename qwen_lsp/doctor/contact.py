"""The first meeting with the service: from the settings to an answer, with all that was seen on the way.

Uses the server's own way (`backend/resolve.py`), so that what is found out is what the server will find. A key goes
to the hosts it is for and to DashScope's other regions, never elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from qwen_lsp.backend.keys import DASHSCOPE_KEY, OWN_KEY
from qwen_lsp.backend.nearby import offered
from qwen_lsp.backend.regions import Probe, find_region
from qwen_lsp.backend.resolve import Effects, configured, resolve
from qwen_lsp.core.config import Settings
from qwen_lsp.core.dialects import dashscope
from qwen_lsp.core.model import BackendError, Kind, Secret, Service
from qwen_lsp.core.questions import Heard, opening
from qwen_lsp.doctor.asking import Asker

LIST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probed:
    """A GET and what came of it."""

    url: str
    status: int = 0
    seconds: float = 0.0
    error: BackendError | None = None


@dataclass(slots=True)
class Contact:
    """What is known after the first meeting."""

    provider: str | None
    """None: nothing names one."""
    key: Secret | None = None
    key_from: str = ""
    """The variable or setting it came from."""
    service: Service | None = None
    error: BackendError | None = None
    """Why there is no answer."""
    probes: list[Probed] = field(default_factory=list)
    models: tuple[str, ...] = ()
    """What the service lists."""
    home: str | None = None
    """The region that takes a key which another one refused."""
    first: Heard | None = None
    """The answer to `opening`."""

    @property
    def reached(self) -> Probed | None:
        """The last probe that anything answered."""
        return next((each for each in reversed(self.probes) if each.status), None)

    @property
    def unreached(self) -> BackendError | None:
        """Why nothing answers, in the words of the connection itself; None where something does."""
        wrong, failed = self.error, next((each.error for each in self.probes if each.error is not None), None)
        if wrong is None:
            return None
        if wrong.kind in {Kind.NETWORK, Kind.TIMEOUT}:
            return failed if failed is not None and self.reached is None else wrong
        # An address that may not be asked (qwen.localOnly), or where something else than HTTP answers.
        forbidden = wrong.kind in {Kind.CONFIG, Kind.PROTOCOL} and self.service is not None and wrong is failed
        return wrong if forbidden and self.reached is None else None


def key_at_hand(settings: Settings, env: Mapping[str, str], provider: str | None) -> tuple[Secret | None, str]:
    """The key in the environment, or the name of where one would come from. Runs nothing."""
    names = (DASHSCOPE_KEY, OWN_KEY) if provider == "dashscope" else (OWN_KEY,)
    for name in names:
        if value := env.get(name, "").strip():
            return Secret(value), name
    return None, "qwen.apiKeyCommand" if settings.api_key_command.strip() else ""


async def meet(settings: Settings, env: Mapping[str, str], effects: Effects, asker: Asker) -> Contact:
    """Finds the service, lists its models and asks it the first question. Failures are in the value."""
    provider = configured(settings, env)
    contact = Contact(provider)
    contact.key, contact.key_from = key_at_hand(settings, env, provider)
    probe = _recording(effects.probe, contact)
    watched = replace(effects, probe=probe, regions=_Afresh(effects), key_command=_noting(effects, contact))
    try:
        service = contact.service = await resolve(settings, env, watched)
        contact.key = service.key
        if not contact.probes or contact.probes[-1].url != _list_of(service):
            await _list(service, probe, contact)
        contact.first = await asker.ask(service, opening(service.route))
    except BackendError as error:
        # A key that can't be one is not sent anywhere, which the search for its region takes for silence.
        unsent = (each.error for each in contact.probes if each.error and each.error.kind is Kind.AUTH)
        contact.error = next(unsent, error)
    if contact.service and contact.error and contact.error.kind is Kind.AUTH and provider == "dashscope":
        contact.home = await _home(contact.service, settings, effects)
    return contact


async def _list(service: Service, probe: Probe, contact: Contact) -> None:
    _, body = await probe(_list_of(service), key=service.key, timeout=LIST_SECONDS)
    contact.models = offered(body)


async def _home(service: Service, settings: Settings, effects: Effects) -> str | None:
    """The region whose host takes the key, of those that it was not asked for."""
    if service.key is None:
        return None
    workspace = settings.workspace_id
    names = [name for name, host in dashscope.REGIONS.items() if host is not None or workspace]
    candidates = {name: effects.hosts(name, workspace) for name in names if name != service.region}
    with suppress(BackendError):
        return await find_region(service.key, candidates, effects.probe)
    return None


def _list_of(service: Service) -> str:
    return f"{service.base_url}/models"


def _recording(probe: Probe, contact: Contact) -> Probe:
    async def ask(url: str, *, key: Secret | None, timeout: float) -> tuple[int, object]:  # noqa: ASYNC109 - `Probe`
        begun = time.monotonic()
        try:
            status, body = await probe(url, key=key, timeout=timeout)
        except BackendError as error:
            contact.probes.append(Probed(url, error=error, seconds=time.monotonic() - begun))
            raise
        contact.probes.append(Probed(url, status, time.monotonic() - begun))
        contact.models = offered(body) or contact.models
        return status, body

    return ask


def _noting(effects: Effects, contact: Contact) -> Callable[[str], Awaitable[str]]:
    async def run(command: str) -> str:
        line = await effects.key_command(command)
        contact.key, contact.key_from = Secret(line), "qwen.apiKeyCommand"
        return line

    return run


@dataclass(frozen=True, slots=True)
class _Afresh:
    """The memory of keys, which is not believed here but put right."""

    effects: Effects

    def recall(self, _key: Secret) -> str | None:
        return None

    def remember(self, key: Secret, region: str) -> None:
        self.effects.regions.remember(key, region)
