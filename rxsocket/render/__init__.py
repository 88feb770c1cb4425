"""What there is to see: the card of a socket, timelines, and pictures that live in a notebook."""
