"""Functions of the user's, which a config names as ``'module:function'``."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_name(text: Any) -> bool:
    """Whether a text names a function."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def imported(name: str, folder: Path) -> Any:
    """What a name stands for; its module may be beside the config.

    Raises:
        ValueError: If it is not there; the text says what is not.
    """
    if not is_name(name):
        raise ValueError("pass 'module:function'")
    module_name, _, attribute = name.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # processes that are started get it, too
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise ValueError(
            f"cannot import {module_name}: {type(error).__name__}: {error}; it is looked for "
            "beside the config, and where Python finds modules"
        ) from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{module_name} has no {attribute}")
        found = getattr(found, part)
    return found
