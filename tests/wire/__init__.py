"""Tests on real connections, over loopback."""
