"""A fleet: many channels over many sockets."""
