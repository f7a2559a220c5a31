"""Runs a WSGI application for one request and writes its answer as HTTP to a socket."""

import socket
import sys
import traceback
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

Headers = List[Tuple[str, str]]
BLOCK = 65536


class HungUp(Exception):
    """The client is gone: no error of the application's."""


class FileWrapper:
    """`wsgi.file_wrapper`: a file in blocks."""

    def __init__(self, file: Any, size: int = BLOCK) -> None:
        self.file = file
        self.size = size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> "FileWrapper":
        return self

    def __next__(self) -> bytes:
        data: bytes = self.file.read(self.size)
        if not data:
            raise StopIteration
        return data


class Answer:
    """The answer to one request: headers go out with the first bytes of the body."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        self._connection = connection
        self._method = method
        self._status: Optional[str] = None
        self._headers: Headers = []
        self.sent = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status is not None:
            raise AssertionError("start_response was called twice without exc_info")
        self._status, self._headers = status, list(headers)
        return self.write

    def write(self, data: bytes) -> None:
        if self._status is None:
            raise AssertionError("the application wrote before it called start_response")
        head = b"" if self.sent else self._head()
        # These have no body by definition; one that is sent all the same would be read as the next answer.
        bare = self._method == "HEAD" or self._status[:3] in ("204", "304") or self._status[:1] == "1"
        self.sent = True
        self._send(head if bare else head + data)

    def finish(self) -> None:
        if not self.sent:
            self.write(b"")

    def _head(self) -> bytes:
        lines = [f"HTTP/1.1 {self._status}", *(f"{name}: {value}" for name, value in self._headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise HungUp from error


def run(app: Callable[..., Iterable[bytes]], environ: Dict[str, Any], connection: socket.socket) -> None:
    """One request from the call to `close()`; errors are printed, and answered with 500 while that is still possible."""
    answer = Answer(connection, environ.get("REQUEST_METHOD", "GET"))
    try:
        result = app(environ, answer.start)
        try:
            for data in result:
                # Empty ones too would send the headers, which the application may still want to change.
                if data:
                    answer.write(data)
            answer.finish()
        finally:
            if hasattr(result, "close"):
                result.close()
    except HungUp:
        pass
    except Exception:  # noqa: BLE001 - whatever the application raises
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        if not answer.sent:
            _refuse(answer)


def _refuse(answer: Answer) -> None:
    body = b"Internal Server Error\n"
    try:
        answer.start(
            "500 Internal Server Error",
            [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))],
            (None, None, None),
        )
        answer.write(body)
    except HungUp:
        pass
