"""Protocols over a socket, one file each (C48).

::

    from rxsocket.protocols import graphql

    api = graphql("wss://example.com/graphql", auth="token")
    api.subscribe("subscription { trades { price } }").subscribe(print)
"""

from rxsocket.protocols.graphql import GraphQL, graphql
from rxsocket.protocols.graphql_operation import GraphQLError, GraphQLResult
from rxsocket.protocols.graphql_socket import graphql_options
from rxsocket.protocols.speaking import SubprotocolNotChosen

__all__ = [
    "GraphQL",
    "GraphQLError",
    "GraphQLResult",
    "SubprotocolNotChosen",
    "graphql",
    "graphql_options",
]
