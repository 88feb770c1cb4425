"""Credentials from where operators keep them: files that rotate, the environment, a keyring.

::

    from rxsocket.credentials import from_env, from_file, from_keyring

    Socket(url, auth=from_file("/run/secrets/token"))      # follows the file as it changes
    Socket(url, auth=from_env("FEED_TOKEN"))               # read before each attempt
    Socket(url, auth=from_keyring("feed", "alice"))        # likewise; rxsocket[keyring]
"""

from rxsocket.credentials.files import FileCredential, from_file, from_files
from rxsocket.credentials.functions import from_env, from_keyring
from rxsocket.credentials.reading import Unreadable

__all__ = [
    "FileCredential",
    "Unreadable",
    "from_env",
    "from_file",
    "from_files",
    "from_keyring",
]
