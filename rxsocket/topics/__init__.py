"""Topics, and channels that are subscribed to by message."""
