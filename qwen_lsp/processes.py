"""Whether another process is still there."""

from __future__ import annotations

import os
import sys


def runs(pid: int) -> bool:
    """Whether there is a process of this number, whoever owns it."""
    if pid <= 0:
        return False
    return _runs(pid)


if sys.platform == "win32":
    import ctypes

    _SYNCHRONIZE, _STILL_ACTIVE, _ACCESS_DENIED = 0x00100000, 0x102, 5

    def _runs(pid: int) -> bool:
        # os.kill(pid, 0) is no question on Windows: it sends Ctrl-C.
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(_SYNCHRONIZE, False, pid)
        if not handle:
            return ctypes.get_last_error() == _ACCESS_DENIED
        try:
            return bool(kernel.WaitForSingleObject(handle, 0) == _STILL_ACTIVE)
        finally:
            kernel.CloseHandle(handle)

else:

    def _runs(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True
