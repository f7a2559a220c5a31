"""The uwsgi binary protocol, as nginx speaks it to uWSGI.

A packet of variables (https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html), then the body; the answer is HTTP, and
its end is the end of the connection.
"""

import io
import socket
import struct
import sys
from typing import Any, Callable, Dict, Iterable, Optional
from urllib.parse import unquote_to_bytes

from . import wsgi

# A body that nobody read is read to its end before closing: the kernel answers unread bytes with a reset, which is a
# 502 in nginx. uWSGI reads it for the same reason (post-buffering).
MOST_UNREAD = 64 * 1024 * 1024
SILENCE = 60.0


class BadRequest(Exception):
    """Not a request that uWSGI would take; it closes such a connection."""


class Body(io.RawIOBase):
    """`wsgi.input`: as many bytes as announced, however late they come."""

    def __init__(self, connection: socket.socket, length: int) -> None:
        self._connection = connection
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._left)
        if size == 0:
            return 0
        try:
            count = self._connection.recv_into(buffer, size)
        except OSError as error:
            raise OSError("the client hung up while its body was read") from error
        if count == 0:
            raise OSError("the client hung up while its body was read")
        self._left -= count
        return count

    def drain(self) -> None:
        budget = MOST_UNREAD
        while self._left and budget > 0:
            try:
                data = self._connection.recv(min(self._left, wsgi.BLOCK))
            except OSError:
                return
            if not data:
                return
            self._left -= len(data)
            budget -= len(data)


class ChunkedBody(Body):
    """A body without a length, which a proxy passes on in chunks."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, 0)
        self._file = connection.makefile("rb")
        self._ended = False

    def readinto(self, buffer: Any) -> int:
        if self._left == 0 and not self._next():
            return 0
        data = self._file.read(min(len(buffer), self._left))
        if not data:
            raise OSError("the client hung up while its body was read")
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left == 0:
            self._file.readline()
        return len(data)

    def _next(self) -> bool:
        if self._ended:
            return False
        line = self._file.readline(1024).split(b";")[0].strip()
        try:
            self._left = int(line, 16)
        except ValueError as error:
            raise OSError(f"not the size of a chunk: {line!r}") from error
        if self._left == 0:
            self._ended = True
            while self._file.readline(65536).strip():
                pass
        return self._left > 0

    def drain(self) -> None:
        buffer = bytearray(wsgi.BLOCK)
        try:
            while self.readinto(buffer):
                pass
        except OSError:
            pass
        self._file.close()


def read_variables(connection: socket.socket, buffer_size: int) -> Dict[str, str]:
    """The variables of one request."""
    modifier, size, _ = struct.unpack("<BHB", _exactly(connection, 4))
    if modifier != 0:
        raise BadRequest(f"modifier {modifier} of the uwsgi protocol is not for a Python application")
    if size > buffer_size:
        raise BadRequest(f"invalid request block size: {size} (max {buffer_size}); see buffer-size")
    return _parse(_exactly(connection, size))


def _parse(data: bytes) -> Dict[str, str]:
    found: Dict[str, str] = {}
    at, name = 0, None
    while at < len(data):
        if at + 2 > len(data):
            raise BadRequest("the variables are cut short")
        size = data[at] | data[at + 1] << 8
        at += 2
        if at + size > len(data):
            raise BadRequest("the variables are cut short")
        text = data[at : at + size].decode("latin-1")
        at += size
        if name is None:
            name = text
        else:
            # nginx sends CONTENT_LENGTH and others empty where there is none, and so does uWSGI pass them on.
            found[name] = text
            name = None
    if name is not None:
        raise BadRequest("a variable has no value")
    return found


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        data = connection.recv(size - len(parts))
        if not data:
            raise BadRequest("the client hung up")
        parts += data
    return parts


def environ_of(variables: Dict[str, str], body: Body, threads: int, processes: int) -> Dict[str, Any]:
    """The WSGI environment, as uWSGI makes it of the same variables."""
    environ: Dict[str, Any] = dict(variables)
    environ.setdefault("REQUEST_METHOD", "GET")
    environ.setdefault("SCRIPT_NAME", "")
    environ.setdefault("QUERY_STRING", "")
    environ.setdefault("SERVER_PROTOCOL", "HTTP/1.1")
    environ.setdefault("SERVER_NAME", "localhost")
    environ.setdefault("SERVER_PORT", "80")
    if "PATH_INFO" not in environ:
        path = environ.get("REQUEST_URI", "/").partition("?")[0]
        environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ.update(
        {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": _scheme(environ),
            "wsgi.input": io.BufferedReader(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": threads != 1,
            "wsgi.multiprocess": processes > 1,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": wsgi.FileWrapper,
            # The body ends by itself, also where no length is known.
            "wsgi.input_terminated": True,
        }
    )
    return environ


def _scheme(environ: Dict[str, Any]) -> str:
    named = environ.get("UWSGI_SCHEME") or environ.get("HTTP_X_FORWARDED_PROTO")
    if named:
        return str(named)
    secure = str(environ.get("HTTPS", "")).lower()
    return "https" if secure[:2] == "on" or secure[:1] == "1" else "http"


def serve(
    connection: socket.socket,
    app: Callable[..., Iterable[bytes]],
    buffer_size: int,
    threads: int,
    processes: int,
    extra: Optional[Dict[str, str]] = None,
) -> None:
    """Answers the one request of a connection."""
    connection.settimeout(SILENCE)
    try:
        variables = read_variables(connection, buffer_size)
    except BadRequest as error:
        if str(error) != "the client hung up":
            print(f"devstack reloader: {error}", file=sys.stderr, flush=True)
        return
    except (OSError, struct.error):
        return
    body = _body(connection, variables)
    environ = environ_of({**variables, **(extra or {})}, body, threads, processes)
    wsgi.run(app, environ, connection)
    body.drain()


def _body(connection: socket.socket, variables: Dict[str, str]) -> Body:
    length = variables.get("CONTENT_LENGTH", "")
    if length.isdigit():
        return Body(connection, int(length))
    if "chunked" in variables.get("HTTP_TRANSFER_ENCODING", "").lower():
        return ChunkedBody(connection)
    return Body(connection, 0)
