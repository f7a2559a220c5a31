"""HTTP for applications without nginx: Werkzeug's own handler, which Flask's development server uses too."""

import socket
from typing import Any, Callable, Dict, Iterable, Tuple

SILENCE = 60.0


class Server:
    """What the handler wants to know of the server around it."""

    ssl_context = None
    shutdown_signal = False
    passthrough_errors = False
    _server_version = "devstack"

    def __init__(
        self, app: Callable[..., Iterable[bytes]], address: Tuple[str, int], threads: int, processes: int
    ) -> None:
        self.app = app
        self.server_address = address
        self.host, self.port = address
        self.server_name, self.server_port = address
        self.multithread = threads != 1
        self.multiprocess = processes > 1
        self.address_family = socket.AF_INET

    def log(self, kind: str, message: str, *arguments: Any) -> None:
        from werkzeug._internal import _log

        _log(kind, message, *arguments)


_handlers: Dict[bool, Any] = {}


def handler(access_log: bool) -> Any:
    """Werkzeug's handler, which closes each connection after its answer."""
    made = _handlers.get(access_log)
    if made is None:
        made = _handlers[access_log] = _make(access_log)
    return made


def _make(access_log: bool) -> Any:
    from werkzeug.serving import WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        """One request, one connection: a kept connection would bind a client to a worker that a reload ends."""

        protocol_version = "HTTP/1.1"
        timeout = SILENCE

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if access_log:
                super().log_request(code, size)

        def handle(self) -> None:
            self.close_connection = True
            try:
                self.handle_one_request()
            except (ConnectionError, TimeoutError, socket.timeout) as error:
                self.connection_dropped(error)

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
            """A client that hung up is no error."""

    return Handler


def serve(connection: socket.socket, peer: Any, server: Server, request_handler: Any) -> None:
    """Answers the one request of a connection."""
    try:
        request_handler(connection, peer, server)
    except (OSError, ValueError):
        # The handler writes what it still holds as it ends; the client may be gone by then.
        pass
