"""The version of the library. The build takes it from here; looking it up would cost imports."""

from __future__ import annotations

VERSION = "0.1.0"
USER_AGENT = f"rxsocket/{VERSION}"
