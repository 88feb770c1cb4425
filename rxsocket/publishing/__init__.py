"""Where what happens goes: the streams, the log, the past."""
