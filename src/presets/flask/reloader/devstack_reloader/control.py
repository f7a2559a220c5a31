"""The control channel: JSON lines on a Unix socket of the container's user."""

import json
import os
import socket
import stat
from typing import Any, Callable, Dict, List, Optional

from .loop import Loop

Message = Dict[str, Any]
WELL_KNOWN = "/.devstack/run"
MOST_WAITING = 4 * 1024 * 1024


def folder_for_server() -> str:
    """Where the socket may be made; see `folders` in ctl.py for the other side."""
    named = os.environ.get("DEVSTACK_CONTROL_FOLDER")
    if named:
        os.makedirs(named, mode=0o700, exist_ok=True)
        return named
    if os.access(WELL_KNOWN, os.W_OK | os.X_OK):
        return WELL_KNOWN
    folder = f"/tmp/.devstack-{os.getuid()}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    # Somebody else could have made it first, in a folder that all may write.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's own")
    return folder


def write_refusal(folder: str, reason: str) -> None:
    """For ctl.py, which compares the process: it stays the same one when the original server takes its place."""
    text = json.dumps({"pid": os.getpid(), "start": start_of(os.getpid()), "reason": reason})
    place = os.path.join(folder, "refused")
    descriptor = os.open(place + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    os.replace(place + ".new", place)


def start_of(pid: int) -> str:
    """When a process began, in the kernel's own count: tells it from a later one of the same number."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.greeted = False

    def send(self, message: Message) -> None:
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            # A client that does not read is dropped rather than waited for; its end is met at the next read.
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Control:
    """Takes clients and their lines."""

    def __init__(self, loop: Loop, folder: str, receive: Callable[[Client, Message], None]) -> None:
        self.path = os.path.join(folder, "flask.sock")
        self.clients: List[Client] = []
        self.greet: Callable[[], Optional[Message]] = lambda: None
        self._loop = loop
        self._receive = receive
        for name in ("flask.sock", "refused"):
            try:
                os.unlink(os.path.join(folder, name))
            except FileNotFoundError:
                pass
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(self.path)
        finally:
            os.umask(before)
        self._socket.listen(16)
        self._socket.setblocking(False)
        loop.watch(self._socket, self._accept)

    def tell(self, message: Message) -> None:
        for client in self.clients:
            if client.greeted:
                client.send(message)

    def greet_all(self) -> None:
        """Those who came before it was decided how the application stands get their greeting as soon as it is."""
        message = self.greet()
        for client in self.clients:
            if message and not client.greeted:
                client.greeted = True
                client.send(message)

    def close(self) -> None:
        self._loop.forget(self._socket)
        self._socket.close()
        for client in list(self.clients):
            self._drop(client)
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        connection.settimeout(1.0)
        client = Client(connection)
        self.clients.append(client)
        self._loop.watch(connection, lambda: self._read(client))
        self.greet_all()

    def _read(self, client: Client) -> None:
        try:
            data = client.connection.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.buffer += data
        *lines, client.buffer = client.buffer.split(b"\n")
        if not data or len(client.buffer) > MOST_WAITING:
            self._drop(client)
        for line in lines:
            if line.strip():
                self._take(client, line)

    def _take(self, client: Client, line: bytes) -> None:
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("not an object")
        except ValueError as error:
            client.send({"id": None, "type": "error", "message": f"not a message: {error}"})
            return
        self._receive(client, message)

    def _drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            self._loop.forget(client.connection)
            client.connection.close()
