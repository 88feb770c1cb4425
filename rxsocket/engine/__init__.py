"""The running parts of one socket, and what it was asked to be."""
