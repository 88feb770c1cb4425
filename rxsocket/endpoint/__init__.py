"""Where a socket connects: an address for each attempt, on hosts that are allowed (C33)."""
