"""Opens torch's libraries so that the window goes on meanwhile."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import sys
from pathlib import Path

__all__ = ["open_torch_libraries"]

log = logging.getLogger(__name__)

_ENDING = {"linux": ".so", "darwin": ".dylib"}


def open_torch_libraries() -> None:
    """Open the libraries that `import torch` needs, without Python's lock.

    The import itself, like `ctypes.CDLL`, holds the lock while the system opens a library of hundreds of megabytes, and
    every other thread of Python stands still. A foreign function does not; `dlopen` called as one opens the same files,
    and the import finds them open. Does nothing on Windows, or where torch is imported already; what cannot be opened
    is left to the import.
    """
    ending = _ENDING.get(sys.platform)
    spec = importlib.util.find_spec("torch")
    if ending is None or "torch" in sys.modules or spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent / "lib"
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    # In the order of torch's own import, and like it the first one for all libraries to see.
    for name in ("libtorch_global_deps", "libtorch_cpu", "libtorch_python"):
        scope = os.RTLD_GLOBAL if name == "libtorch_global_deps" else os.RTLD_LOCAL
        path = folder / f"{name}{ending}"
        if path.exists() and not dlopen(os.fsencode(path), os.RTLD_NOW | scope):
            log.debug("%s is left to the import of torch", path)
            return
