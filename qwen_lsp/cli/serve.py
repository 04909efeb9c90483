"""`qwen-lsp serve`: the language server, with its parts put together.

Promises: `initialize` is answered before anything heavy is loaded; standard output carries the protocol and nothing
else; the process is gone within 2 s of its end.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from qwen_lsp.cli.commands import Commands

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Notice
    from qwen_lsp.engine.engine import Engine
    from qwen_lsp.engine.ports import Backend
    from qwen_lsp.engine.tally import Tally
    from qwen_lsp.lsp.greeting import Start
    from qwen_lsp.lsp.server import Server
    from qwen_lsp.lsp.settings import Layers

_REFUSED: set[str] = set()
"""Log files that could not be written: told once."""
_LEVELS = ("debug", "info", "warning", "error")
_STDIN = 0
_TCP_KEY = "QWEN_LSP_TCP_KEY"


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve",
        help="run the language server (what editors start)",
        description="Runs the language server, over standard input and output unless told otherwise.",
    )
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="talk over standard input and output (the default)")
    transport.add_argument(
        "--tcp",
        metavar="HOST:PORT",
        help="listen there instead, for debugging; without HOST on this machine only; says the key that clients need",
    )
    parser.add_argument("--log-level", choices=_LEVELS, help="wins over the setting `logLevel`")
    parser.add_argument("--log-file", metavar="FILE", help="write the log there too, unless `logFile` is set")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serves until the editor is gone. Over standard input and output it does not return."""
    from qwen_lsp.cli.config import base_layer

    _log_to_stderr(options.log_level or "info")
    layer, problems = base_layer(os.environ)
    if options.log_file:
        layer = {"log_file": options.log_file} | layer
    if options.tcp is not None:
        return _serve_tcp(options.tcp, lambda: _layers(layer, problems), options.log_level)
    return _serve_stdio(_layers(layer, problems), options.log_level)


def _serve_stdio(layers: Layers, level: str | None) -> NoReturn:
    from qwen_lsp.lsp.greeting import greet_early
    from qwen_lsp.lsp.transport import claim_stdout, write_all

    if os.isatty(_STDIN):
        print("qwen-lsp: this is what editors start; it waits for one. Ctrl-C ends it.", file=sys.stderr)
    stdout = claim_stdout()
    start = greet_early(lambda: os.read(_STDIN, 1 << 16), lambda data: write_all(stdout, data), layers)
    status = _session(layers, level, start, stdout)
    # Not sys.exit: threads that wait for a name server or a child would hold the process for as long as they wait.
    logging.shutdown()
    os._exit(status)


def _session(layers: Layers, level: str | None, start: Start, stdout: int) -> int:
    import asyncio

    from qwen_lsp.lsp.session import over_stdio

    loop = asyncio.new_event_loop()
    return loop.run_until_complete(over_stdio(lambda: _server(layers, level), start, _STDIN, stdout))


def _serve_tcp(address: str, make_layers: Callable[[], Layers], level: str | None) -> int:
    import asyncio
    import secrets

    from qwen_lsp.lsp.session import over_tcp

    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        print(f"qwen-lsp: --tcp {address}: not an address; write HOST:PORT, e.g. 127.0.0.1:9257", file=sys.stderr)
        return 2
    given = os.environ.pop(_TCP_KEY, "")  # no child needs it
    key = given or secrets.token_urlsafe()

    def tell(where: str) -> None:
        # Not through the logger: a log file is no place for a key.
        what = f"what {_TCP_KEY} holds" if given else key
        line = f"qwen-lsp: listening on {where}; initializationOptions.tcpKey has to be {what}"
        print(line, file=sys.stderr, flush=True)

    where = (host.strip("[]") or "127.0.0.1", int(port))
    try:
        return asyncio.run(over_tcp(lambda: _server(make_layers(), level), where, key, tell))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        print(f"qwen-lsp: can't listen on {address} ({reason}); choose another port with --tcp", file=sys.stderr)
        return 1


def _server(layers: Layers, level: str | None) -> Server:
    """The server with the real engine and backend."""
    import asyncio

    from qwen_lsp.cli.paths import ledger_file, servers_dir
    from qwen_lsp.engine.tally import Tally
    from qwen_lsp.lsp.server import build
    from qwen_lsp.usage.ledger import Ledger
    from qwen_lsp.usage.presence import Presence
    from qwen_lsp.workspace.workspace import Workspace

    env = dict(os.environ)
    tally = Tally(Ledger(ledger_file(env)))
    board = Presence(servers_dir(env), os.getpid())
    workspace = Workspace(snippets=False)  # until the person's settings are known

    def make_engine(settings: Settings, on_notice: Callable[[Notice], None]) -> Engine:
        from qwen_lsp.engine.engine import Engine

        backend = _backend(settings, env, on_notice, tally)
        return Engine(backend, settings, sources=workspace, on_notice=on_notice, on_spent=tally.spent, used=tally.used)

    def on_settings(settings: Settings) -> None:
        logging.getLogger("qwen_lsp").setLevel((level or settings.log_level).upper())
        _log_to_file(settings.log_file)
        tally.prices = settings.prices
        if settings.budget.tokens or settings.budget.price:
            tally.look()

    def on_ready() -> None:
        asyncio.get_running_loop().call_soon(load)

    def load() -> None:
        """Loads what the first key would have to wait for, while the editor looks its settings up."""
        from qwen_lsp.backend.resolve import configured

        import_module("qwen_lsp.engine.engine")
        import_module("qwen_lsp.backend.backend")
        import_module("pathspec")  # of the ignore rules
        # All that is loaded now stays: looking through it for garbage would take 0.1 s, in the middle of typing.
        gc.freeze()
        if configured(layers.merged(), env) == "dashscope":
            asyncio.get_running_loop().run_in_executor(None, import_module, "qwen_lsp.backend.httpx_wire")

    return build(
        make_engine,
        layers,
        workspace,
        on_settings=on_settings,
        on_ready=on_ready,
        tally=tally,
        board=board,
        models=_Models(env),
    )


def _backend(settings: Settings, env: Mapping[str, str], on_notice: Callable[[Notice], None], tally: Tally) -> Backend:
    """Who completes by these settings, with who stands in."""
    from qwen_lsp.backend.backend import ModelBackend
    from qwen_lsp.backend.failover import Failover
    from qwen_lsp.backend.resolve import configured, standing_in
    from qwen_lsp.cli.paths import cache_dir, state_dir

    def one(settings: Settings, its: Mapping[str, str]) -> ModelBackend:
        return ModelBackend(
            settings,
            its,
            state_dir=state_dir(env),
            cache_dir=cache_dir(env),
            on_notice=on_notice,
            probing=True,
            on_spent=lambda service, usage: tally.spent(service, "", usage),
        )

    first = one(settings, env)
    if not settings.fallback:
        return first
    name = configured(settings, env) or "auto"
    others = [other for other in dict.fromkeys(settings.fallback) if other != name]
    return Failover([(name, first), *((other, one(*standing_in(settings, env, other))) for other in others)], on_notice)


class _Models:
    """The embedded models' weights, for all editors of a person."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def name(self, model: str) -> str:
        """The full name; of the default one for "". Raises BackendError."""
        from qwen_lsp.backend import weights
        from qwen_lsp.core.model import BackendError, Kind

        known = weights.known(model or weights.DEFAULT)
        if known is None:
            raise BackendError(Kind.MODEL, f"there is no model {model!r}; choose one of {', '.join(weights.MODELS)}")
        return known.name

    def fetch(self, name: str, on_progress: Callable[[int, int], None]) -> None:
        """Blocks until they are here. Raises BackendError."""
        from qwen_lsp.backend import download, weights
        from qwen_lsp.cli.paths import cache_dir
        from qwen_lsp.core.model import BackendError, Kind

        try:
            download.pull(name, cache_dir(self._env), on_progress=on_progress)
        except weights.WeightsError as error:
            raise BackendError(Kind.MODEL, error.message) from error


def _layers(layer: dict[str, object], problems: list[str]) -> Layers:
    from qwen_lsp.lsp.settings import Layers

    return Layers(layer, problems)


def _log_to_stderr(level: str) -> None:
    """One form for all. Other packages' loggers are held at WARNING: below it they print code and keys."""
    logging.raiseExceptions = False  # a full disk would cost a traceback for each line
    logging.basicConfig(level=logging.WARNING, handlers=[_formed(logging.StreamHandler(sys.stderr))])
    logging.getLogger("qwen_lsp").setLevel(level.upper())


def _log_to_file(name: str) -> None:
    """Writes the log to a file too, or to none; a file that can't be written is one line on standard error."""
    root = logging.getLogger()
    path = os.path.abspath(os.path.expanduser(name)) if name else ""  # noqa: PTH100, PTH111 - as FileHandler has it
    for handler in root.handlers[:]:
        if isinstance(handler, logging.FileHandler):
            if handler.baseFilename == path:
                return
            root.removeHandler(handler)
            handler.close()
    if path and path not in _REFUSED:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            root.addHandler(_formed(logging.FileHandler(path, encoding="utf-8")))
        except OSError as error:
            _REFUSED.add(path)
            logging.getLogger(__name__).warning("qwen.logFile: can't be written (%s)", error.strerror)


def _formed(handler: logging.Handler) -> logging.Handler:
    handler.addFilter(_bared)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


def _bared(record: logging.LogRecord) -> bool:
    """Leaves only the form of other packages' messages: what they fill in may be code (pygls logs params)."""
    if not record.name.startswith("qwen_lsp"):
        record.args, record.exc_info, record.stack_info = None, None, None
        record.exc_text = None
    return True
