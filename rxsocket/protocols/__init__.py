"""Protocols over a socket, one file each (rule C48, protocols).

::

    from rxsocket.protocols import graphql

    api = graphql("wss://example.com/graphql", auth="token")
    api.subscribe("subscription { trades { price } }").subscribe(print)

``graphql()`` speaks graphql-transport-ws, ``json_rpc()`` JSON-RPC 2.0, ``socket_io()`` Socket.IO 4,
and ``jupyter()`` talks to a kernel of a Jupyter server.
"""

from rxsocket.protocols.graphql import GraphQL, graphql
from rxsocket.protocols.graphql_operation import GraphQLError, GraphQLResult
from rxsocket.protocols.graphql_socket import graphql_options
from rxsocket.protocols.json_rpc import JsonRpc, json_rpc
from rxsocket.protocols.json_rpc_messages import JsonRpcError
from rxsocket.protocols.json_rpc_socket import json_rpc_options
from rxsocket.protocols.jupyter import Kernel, jupyter, jupyter_options
from rxsocket.protocols.jupyter_messages import KernelMessage, kernel_message
from rxsocket.protocols.jupyter_requests import KernelDied
from rxsocket.protocols.jupyter_results import Evaluated, KernelError
from rxsocket.protocols.socket_io import SocketIO, socket_io, socket_io_options
from rxsocket.protocols.socket_io_membership import NamespaceRefused
from rxsocket.protocols.socket_io_namespace import Namespace
from rxsocket.protocols.socket_io_packets import Kind, Packet
from rxsocket.protocols.socket_io_transport import ConnectRefused
from rxsocket.protocols.speaking import SubprotocolNotChosen

__all__ = [
    "ConnectRefused",
    "Evaluated",
    "GraphQL",
    "GraphQLError",
    "GraphQLResult",
    "JsonRpc",
    "JsonRpcError",
    "Kernel",
    "KernelDied",
    "KernelError",
    "KernelMessage",
    "Kind",
    "Namespace",
    "NamespaceRefused",
    "Packet",
    "SocketIO",
    "SubprotocolNotChosen",
    "graphql",
    "graphql_options",
    "json_rpc",
    "json_rpc_options",
    "jupyter",
    "jupyter_options",
    "kernel_message",
    "socket_io",
    "socket_io_options",
]
