"""TLS before a fake service: a relay that speaks it, and the certificate it shows."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdjCCARygAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5xd2VuLWxz
cCB0ZXN0czAgFw0yMDAxMDEwMDAwMDBaGA8yMDk5MTIzMTAwMDAwMFowGTEXMBUG
A1UEAwwOcXdlbi1sc3AgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARd
7k6N+T2p1cHZMMTrik2rL3I7RUntK9Cos8Ag03DCwZOJ50WIkHlXmmJoJTVjelEk
3AWE1y1SrAEaWqvqibfao1MwUTAPBgNVHREECDAGhwR/AAABMA8GA1UdEwEB/wQF
MAMBAf8wHQYDVR0OBBYEFFEn0Uq4xfzmcOWNCJUx9Hq48mumMA4GA1UdDwEB/wQE
AwIChDAKBggqhkjOPQQDAgNIADBFAiEA0o3hplyFhzulaz0asQuFYZNb3M4PmQ3S
5ziLEmN5xFACICe0Vpb46dXhQqe9hDaqLpo4bwRSjwh15aOeC555JmwH
-----END CERTIFICATE-----
"""
"""For 127.0.0.1, signed by itself, from 2020 to 2099."""

PRIVATE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQtBNWMBWhC/bZk54
CtSCk5LuRy8XNXtzzM1Y9+dJP/6hRANCAARd7k6N+T2p1cHZMMTrik2rL3I7RUnt
K9Cos8Ag03DCwZOJ50WIkHlXmmJoJTVjelEk3AWE1y1SrAEaWqvqibfa
-----END PRIVATE KEY-----
"""
"""Of that certificate, made for these tests; nobody trusts it."""


def trusting() -> ssl.SSLContext:
    """What a client needs to trust the relay."""
    return ssl.create_default_context(cadata=CERTIFICATE)


@contextlib.asynccontextmanager
async def relayed(port: int, folder: Path) -> AsyncIterator[int]:
    """A port that speaks TLS and hands everything on to `port`; an end on one side ends the other."""
    (folder / "server.pem").write_text(PRIVATE_KEY + CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(copy(reader, forth), copy(back, writer))
        finally:
            forth.transport.abort()
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
