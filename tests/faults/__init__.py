"""Real faults: another process, a proxy, raw bytes."""
