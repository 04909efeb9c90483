"""Watches over one engine for all editors that use it, and ends it when nobody does.

A small process between the editors' servers and llama.cpp (`engine_worker.py`). Its creator writes one line of
JSON (`Plan`) to its standard input and reads one back: the control port and the key, which also lie in a file
only the user can read. Each user holds a connection to that port for as long as it wants the engine.

Promises: when the last user says `bye SECONDS`, the engine lingers that long and ends; when the last connection
just drops (an editor was killed), or the creator dies before anyone came, it ends at once, even while it loads.
A connection that doesn't know the key is dropped. It never sees a prompt, sleeps until something happens, and
imports nothing of qwen_lsp, so that no file in anybody's working directory can take a module's place.

Lines, after which both know that the other has the key:

    user    hello NONCE          engine  welcome HMAC(key, "engine" NONCE) NONCE2
    user    HMAC(key, "user" NONCE2)
                                 engine  joined
                                 engine  ready PID URL        once loaded
    user    bye SECONDS          engine  failed REASON        then the connection ends
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

LONGEST_LINE = 256
HANDSHAKE = 5.0
"""Seconds a connection may take to show that it knows the key."""
LOG_LIMIT = 1 << 20
"""Bytes after which nothing more is logged (where the system can limit a file's size)."""


def proof(key: str, side: str, nonce: str) -> str:
    """What only someone with the key can say to this nonce; `side` keeps one from echoing the other."""
    return hmac.digest(key.encode(), f"{side} {nonce}".encode(), "sha256").hex()


class Keeper:
    """The users, the worker, and the reason to end. All state is guarded by `_changed`."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._key = secrets.token_hex(32)
        self._changed = threading.Condition()
        self._users: set[socket.socket] = set()
        self._used = False
        self._ready = ""
        self._over: str | None = None
        self._until: float | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Starts the worker and returns when there is a reason to end; then nothing of it is left."""
        state = {"port": self._listener.getsockname()[1], "key": self._key, "pid": os.getpid()}
        line = json.dumps(state).encode()
        _write_private(Path(self._plan["state"]), line)
        self._worker = self._start_worker()
        for target in (self._accept, self._watch_worker, self._watch_creator):
            threading.Thread(target=target, daemon=True).start()
        with contextlib.suppress(OSError):  # it died meanwhile: `_watch_creator` sees that too
            os.write(1, line + b"\n")
        os.dup2(2, 1)  # the creator has what it wants: nothing may keep its pipe open
        try:
            self._wait()
        finally:
            self._forget(line)
            self._worker.kill()
            self._worker.wait()

    def _start_worker(self) -> subprocess.Popen[bytes]:
        command = self._plan["worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own
        assert worker.stdin is not None  # noqa: S101 - for the type checker: it was asked for
        worker.stdin.write(json.dumps({**self._plan["params"], "key": self._key}).encode() + b"\n")
        worker.stdin.flush()
        return worker

    def _wait(self) -> None:
        with self._changed:
            while self._over is None:
                left = None if self._until is None else self._until - time.monotonic()
                if left is not None and left <= 0:
                    return
                self._changed.wait(left)
            for user in self._users:
                _say(user, f"failed {self._over}")

    def _forget(self, line: bytes) -> None:
        """Takes the state file away, unless a successor has written its own."""
        path = Path(self._plan["state"])
        with contextlib.suppress(OSError):
            if path.read_bytes() == line:
                path.unlink()

    def _end(self, reason: str) -> None:
        with self._changed:
            if self._over is None:
                self._over = reason
            self._changed.notify_all()

    def _watch_worker(self) -> None:
        worker = self._worker
        assert worker is not None  # noqa: S101 - for the type checker: started before this thread
        assert worker.stdout is not None  # noqa: S101 - as above
        for line in worker.stdout:
            word, _, url = line.decode(errors="replace").strip().partition(" ")
            if word == "ready":
                with self._changed:
                    self._ready = f"ready {worker.pid} {url}"
                    for user in self._users:
                        _say(user, self._ready)
        status = worker.wait()
        self._end(f"signal {-status}" if status < 0 else f"exit {status}")

    def _watch_creator(self) -> None:
        """The creator holds our standard input until it is a user; its end before that is the creator's death."""
        sys.stdin.buffer.read()
        with self._changed:
            if not self._used:
                self._end("creator gone")

    def _accept(self) -> None:
        while True:
            user, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(user,), daemon=True).start()

    def _serve(self, user: socket.socket) -> None:
        with user, user.makefile("rb") as lines:
            try:
                if not self._knows_key(user, lines):
                    return
                user.settimeout(None)
                self._join(user)
                line = _line(lines)
            except OSError:
                line = ""
            self._leave(user, line)

    def _knows_key(self, user: socket.socket, lines: Any) -> bool:  # noqa: ANN401 - a socket's file
        user.settimeout(HANDSHAKE)
        word, _, nonce = _line(lines).partition(" ")
        if word != "hello":
            return False
        challenge = secrets.token_hex(16)
        _say(user, f"welcome {proof(self._key, 'engine', nonce)} {challenge}")
        return hmac.compare_digest(_line(lines).encode(), proof(self._key, "user", challenge).encode())

    def _join(self, user: socket.socket) -> None:
        with self._changed:
            self._users.add(user)
            self._used = True
            self._until = None
            _say(user, "joined")
            if self._ready:
                _say(user, self._ready)
            self._changed.notify_all()

    def _leave(self, user: socket.socket, line: str) -> None:
        with self._changed:
            if user not in self._users:
                return
            self._users.discard(user)
            if self._users:
                return
            word, _, seconds = line.partition(" ")
            patience = int(seconds) if word == "bye" and seconds.isdigit() else 0
            self._until = time.monotonic() + patience
            self._changed.notify_all()


def main() -> None:
    """Reads the plan, does it, and leaves without waiting for threads that sit in a read."""
    _limit_log()
    plan = json.loads(sys.stdin.buffer.readline())
    Keeper(plan).run()
    os._exit(0)


def _line(lines: Any) -> str:  # noqa: ANN401 - a socket's file
    return bytes(lines.readline(LONGEST_LINE)).decode(errors="replace").strip()


def _say(user: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # it has gone; its own thread sees that
        user.sendall(f"{line}\n".encode())


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _limit_log() -> None:
    """A log that fills the disk helps nobody. Python ignores the signal, so that a write just fails."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_LIMIT, LOG_LIMIT))


if __name__ == "__main__":
    main()
