"""The socket against servers and proxies that nobody here wrote, and scripted twins of them."""
