"""The engine itself: llama.cpp's own HTTP server (xllamacpp) on 127.0.0.1, in a process of its own.

Run by `engine_process.py`, which writes one line of JSON (`Params`) to standard input. Says `ready URL` on
standard output once the model answers, and ends when standard input ends. A process of its own because loading
holds Python's interpreter lock for seconds, so that nothing else could watch over it in the same process.
Imports nothing of qwen_lsp. Its standard error is the log; neither it nor llama.cpp writes prompts there.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

BATCH = 128
"""Tokens read at a time. A cancelled request ends after the batch in progress: measured on two cores with the 1.5B,
a long prompt that nobody wants any more frees the engine after 1 s (8 s on a busy machine), with the library's 2,048
after 15 to 43 s. Reading is as fast, and takes 0.3 GB less."""
PROMPT_CACHE_MIB = 256
"""Memory for prompts of other files, to come back to them quickly; two full contexts of the 1.5B. The library
takes up to 8 GiB."""
ERRORS_ONLY = 1
"""llama.cpp's verbosity: 3 would log every request's progress."""
PR_SET_PDEATHSIG = 1
SIGKILL = 9


def main() -> None:
    """Loads, serves, ends with its standard input."""
    _die_with_parent()
    params = json.loads(sys.stdin.readline())
    report = os.dup(1)
    os.dup2(2, 1)  # whatever llama.cpp prints belongs into the log
    import xllamacpp  # noqa: PLC0415 - 100 MB of library; the lines above must come first

    server = xllamacpp.Server(_settings(xllamacpp, params))
    os.write(report, f"ready {server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)  # its threads may be computing; nothing needs to be saved


def _settings(xllamacpp: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - a module without types
    common = xllamacpp.CommonParams()
    common.model.path = params["model"]
    common.model_alias = {Path(params["model"]).stem}  # else the path is told to whoever asks for the models
    common.n_ctx = params["context"]
    common.n_batch = common.n_ubatch = BATCH
    common.n_parallel = 1
    common.cpuparams.n_threads = params["threads"] or physical_cores()
    common.n_gpu_layers = params["gpu_layers"]
    # Fitting layers to a GPU's memory loads the model twice; without a GPU there is nothing to fit.
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    common.fit_params = any(device["type"] != cpu for device in xllamacpp.get_device_info())
    common.cache_ram_mib = PROMPT_CACHE_MIB
    common.hostnames = ["127.0.0.1"]
    common.port = 0
    common.api_keys = [params["key"]]
    # An empty allowed origin, which no page has: browsers then keep every reply from pages of other origins.
    common.cors_origins = ""
    common.cors_origins_explicit = True
    common.cors_credentials = False
    common.ui = False
    common.endpoint_slots = common.endpoint_props = common.endpoint_metrics = False
    common.verbosity = ERRORS_ONLY
    return common


def physical_cores(root: Path = Path("/sys")) -> int:
    """Cores this process may use, without hyper-threads and within a container's share; -1 lets llama.cpp count.

    More threads than cores make llama.cpp slower, not faster.
    """
    if not hasattr(os, "sched_getaffinity"):
        return -1
    cores = set()
    allowed = os.sched_getaffinity(0)
    for cpu in allowed:
        siblings = root / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        cores.add(_read(siblings) or str(cpu))
    quota, _, period = _read(root / "fs/cgroup/cpu.max").partition(" ")
    share = math.ceil(int(quota) / int(period)) if quota.isdigit() and period.isdigit() else len(cores)
    return max(1, min(len(cores), share))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _die_with_parent() -> None:
    """On Linux the kernel kills us with our parent, even while loading; elsewhere the end of input does, later."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - Linux only

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
