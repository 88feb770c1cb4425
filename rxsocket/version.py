"""The version of the library. The build takes it from here; looking it up would cost imports."""

from __future__ import annotations

VERSION = "0.1.0"
