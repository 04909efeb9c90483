"""Checks of the way to the service: who it is, the key, the connection, TLS, the model. Judge what `meet` has seen."""

from __future__ import annotations

import asyncio
import difflib
import ssl
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from qwen_lsp.backend.keys import DASHSCOPE_KEY
from qwen_lsp.backend.nearby import preferred
from qwen_lsp.backend.regions import PLAN_PREFIX, is_dashscope
from qwen_lsp.backend.resolve import configured
from qwen_lsp.backend.wire import not_connected, origin
from qwen_lsp.core.dialects.models import shown
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import BackendError, Kind, Route
from qwen_lsp.doctor.case import Case
from qwen_lsp.doctor.contact import Contact, Probed, key_at_hand, meet
from qwen_lsp.doctor.findings import Finding, error, failed, ok, skipped, warning

ROUTES = {Route.FIM: "FIM", Route.PARTIAL: "partial mode"}
_PROVIDERS = {"dashscope": "DashScope", "openai": "an OpenAI-compatible server", "local": "the embedded model"}
_HANDSHAKE = 3.0
_NO_KEY = f"set {DASHSCOPE_KEY}, or qwen.apiKeyCommand to a command that prints it"


async def provider(case: Case) -> Finding:
    """Who completes; this is where the service is met."""
    named = configured(case.settings, case.env)
    who = _PROVIDERS.get(named or "", "what answers on this machine, else the embedded model")
    if case.offline:
        return ok(f"{who}, by the settings", provider=named)
    contact = case.contact = await meet(case.settings, case.env, case.effects, case.asker)
    service = contact.service
    if contact.first is not None and service is not None:
        case.answers[service.route] = contact.first
    if service is None:
        wrong = contact.error if contact.error and contact.error.kind is Kind.CONFIG else None
        return failed(wrong.message, provider=named) if wrong else ok(who, provider=named)
    where = "on this machine" if service.is_local else f"at {origin(service.base_url)}"
    facts = {"provider": service.provider, "model": service.model, "route": service.route.value}
    said = f"{_PROVIDERS[service.provider]} {where}: {shown(service.model)}, by {ROUTES[service.route]}"
    return ok(said, **facts, region=service.region, origin=origin(service.base_url))


async def key(case: Case) -> Finding:
    """Whether there is a key, and whether it is the right one, for the right place."""
    contact = case.contact
    if contact is None:
        return _key_at_hand(case)
    refused = contact.error if contact.error and contact.error.kind is Kind.AUTH else None
    if contact.provider == "local" or (contact.service and contact.service.is_local):
        return skipped("the embedded model needs none")
    if contact.key is None:
        if refused is not None:
            return failed(refused.message, _NO_KEY if contact.provider == "dashscope" else "")
        return ok("none, and none is asked for") if contact.first else skipped("none is set")
    if refused is not None:
        return _refused(case, contact, refused)
    named = f"{contact.key_from or 'the key'} is set"
    if contact.service is None or contact.reached is None:
        return skipped(f"{named}; whether it is right can't be asked now", source=contact.key_from)
    region, plan = contact.service.region, _is_plan(contact)
    taken = f"taken in region {region}" if region else "taken"
    return ok(f"{named} and {taken}{' (Coding Plan)' if plan else ''}", source=contact.key_from, region=region)


def _key_at_hand(case: Case) -> Finding:
    """Without asking anyone."""
    named = configured(case.settings, case.env)
    found, source = key_at_hand(case.settings, case.env, named)
    if found is None and not source:
        return error("no DashScope key", _NO_KEY) if named == "dashscope" else skipped("none is set")
    base_url = case.settings.base_url
    plan_host = base_url.strip().rstrip("/") in case.effects.plan_hosts.values()
    if found is not None and is_dashscope(base_url) and found.reveal().startswith(PLAN_PREFIX) is not plan_host:
        return _wrong_kind(case, plan=not plan_host)
    return ok(f"{source} is set; not asked whether it is right", source=source)


def _refused(case: Case, contact: Contact, refused: BackendError) -> Finding:
    service, source = contact.service, contact.key_from or "the key"
    if contact.provider != "dashscope":
        return failed(refused.message, source=source)
    plan = _is_plan(contact)
    if service is not None and plan is not (service.base_url in case.effects.plan_hosts.values()):
        return _wrong_kind(case, plan=plan)
    if contact.home is not None and service is not None:
        asked = f"region {service.region}" if service.region else origin(service.base_url)
        fix = f"set qwen.region to {contact.home} or to auto"
        fix += ", and unset qwen.baseUrl" if case.settings.base_url.strip() else ""
        said = f"{source} is a key of region {contact.home}, and {asked} is asked"
        return error(said, fix, source=source, region=contact.home)
    return failed(refused.message, "" if service is None else f"no region takes it: copy it again into {source}")


def _wrong_kind(case: Case, *, plan: bool) -> Finding:
    hosts = " or ".join(case.effects.plan_hosts.values())
    if plan:
        said = f"a key of the Coding Plan ({PLAN_PREFIX}…) works at its own hosts only, and another is asked"
        return error(said, f"unset qwen.baseUrl, or set it to {hosts}")
    said = f"the hosts of the Coding Plan take its own keys only ({PLAN_PREFIX}…), and this is another"
    return error(said, "unset qwen.baseUrl, or use a key of the plan")


def _is_plan(contact: Contact) -> bool:
    return contact.key is not None and contact.key.reveal().startswith(PLAN_PREFIX)


async def reachability(case: Case) -> Finding:
    """Whether the address answers, how soon, and through which proxy."""
    contact = case.contact
    assert contact is not None  # noqa: S101 - `examine` has made sure
    if contact.provider == "local":
        return skipped("the embedded model is on this machine")
    wrong, reached = contact.unreached, contact.reached
    url = _asked_url(contact)
    proxy = proxy_for(case.env, url) if url else None
    through = f" through the proxy {proxy}" if proxy else ""
    if wrong is None and reached is not None:
        ms = round(reached.seconds * 1000)
        return ok(f"{origin(reached.url)} answers in {ms} ms{through}", ms=ms, proxy=proxy)
    if wrong is None:
        return skipped("there is no address to go to yet")
    if _tls_fault(wrong, url):
        return ok(f"{origin(url)} can be connected to{through}", proxy=proxy)
    if proxy:
        return failed(f"{wrong.message} (the way leads through the proxy {proxy}, by HTTPS_PROXY or ALL_PROXY)")
    return failed(wrong.message, _start_it(wrong, url))


async def tls(case: Case) -> Finding:
    """Whether the service's certificate is trusted."""
    contact = case.contact
    assert contact is not None  # noqa: S101 - `examine` has made sure
    url = _asked_url(contact)
    if not url or (contact.service is None and contact.reached is None and not url.startswith("https:")):
        return skipped("there is no connection")
    if not url.startswith("https:"):
        if is_loopback(url):
            return skipped("plain HTTP, which does not leave this machine")
        return warning(f"code and key go to {origin(url)} unencrypted", "set qwen.baseUrl to an https:// address")
    wrong = contact.unreached
    if wrong is None:
        by = "SSL_CERT_FILE" if case.env.get("SSL_CERT_FILE") else "the usual authorities"
        return ok(f"the certificate is trusted, by {by}")
    if not _tls_fault(wrong, url):
        return skipped("there is no connection")
    if "certificate" not in wrong.message:
        return failed(wrong.message, "set qwen.baseUrl to an http:// address, or to the right port")
    why, system = (None, None) if proxy_for(case.env, url) else await _handshake(url)
    fix = f"set SSL_CERT_FILE to {system}, whose authorities this machine trusts" if system else ""
    said = f"the certificate of {origin(url)} is not trusted" + (f" ({why})" if why else "")
    return error(
        said, fix or "set SSL_CERT_FILE to the file of the authority that signed it, such as a company proxy's"
    )


async def model(case: Case) -> Finding:
    """Whether the service has the model: it was asked something."""
    contact = case.contact
    assert contact is not None  # noqa: S101 - `examine` has made sure
    service, wrong = contact.service, contact.error
    if wrong is None and service is not None:
        listed = f", one of {len(contact.models)} that are listed" if service.model in contact.models else ""
        return ok(f"{shown(service.model)} answers{listed}", listed=list(contact.models[:20]))
    if wrong is None or contact.unreached or wrong.kind in {Kind.AUTH, Kind.QUOTA, Kind.RATE}:
        return skipped("it could not be asked")
    if contact.provider == "local" or (service is None and wrong.kind is not Kind.MODEL):
        return skipped("it could not be asked")
    if wrong.kind is Kind.MODEL and contact.models and service is not None:
        others = [each for each in contact.models if each != service.model]  # listed, and yet not there
        near = difflib.get_close_matches(service.model, others, n=1) or [preferred(others or contact.models)]
        names = [shown(each) for each in contact.models[:20]]
        return failed(wrong.message, f"set qwen.model to one that is listed, such as {shown(near[0])}", listed=names)
    return failed(wrong.message)


def proxy_for(env: Mapping[str, str], url: str) -> str | None:
    """The proxy's address on the way to a URL, without user and password; None for the direct way."""
    if is_loopback(url):
        return None
    parts = urlsplit(url)
    values = {name.lower(): value for name, value in env.items() if value}
    if urllib.request.proxy_bypass_environment(parts.hostname or "", {"no": values.get("no_proxy", "")}):  # type: ignore[attr-defined] # typeshed has it on macOS only
        return None
    proxy = values.get(f"{parts.scheme}_proxy") or values.get("all_proxy")
    return origin(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _asked_url(contact: Contact) -> str:
    """The address that was asked, or tried."""
    if contact.service is not None:
        return contact.service.base_url
    tried: list[Probed] = [each for each in contact.probes if each.error is not None] or contact.probes
    return tried[0].url if tried else ""


def _tls_fault(wrong: BackendError, url: str) -> bool:
    causes = (ssl.SSLCertVerificationError(), ssl.SSLError())
    return wrong.message in {not_connected(url, [cause]).message for cause in causes}


async def _handshake(url: str) -> tuple[str | None, str | None]:
    """What is wrong with the certificate by the system's own trust; else the file that holds it."""
    parts, trust = urlsplit(url), ssl.get_default_verify_paths()
    with suppress(OSError):
        try:
            async with asyncio.timeout(_HANDSHAKE):
                _, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
                )
        except ssl.SSLCertVerificationError as fault:
            return fault.verify_message, None
        writer.transport.abort()
        return None, trust.cafile or trust.openssl_cafile
    return None, None


def _start_it(wrong: BackendError, url: str) -> str:
    if "is the server running" not in wrong.message:
        return ""
    return "start the server there, or set qwen.baseUrl to where it listens" if is_loopback(url) else ""
