"""Pictures: the card of a socket, timelines, and live pictures in a notebook."""
