"""What the messages of a feed look like, and the structs to decode them with.

::

    found = await schema(socket, 1000)
    print(found)
    print(found.structs())
"""

from rxsocket.schema.notes import Field
from rxsocket.schema.schema import Code, MessageKind, Schema, schema

__all__ = ["Code", "Field", "MessageKind", "Schema", "schema"]
