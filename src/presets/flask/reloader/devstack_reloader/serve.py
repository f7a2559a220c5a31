"""Takes connections, and stops taking them the moment it is told to."""

import os
import select
import socket
import sys
import threading
import traceback
from typing import Any, Callable, List, Optional

Handle = Callable[[socket.socket, Any, "Listener"], None]


class Listener:
    """A listening socket and what is spoken there."""

    def __init__(self, sock: socket.socket, protocol: str) -> None:
        self.socket = sock
        self.protocol = protocol


class Gate:
    """Whether connections may be taken.

    A connection is taken with the lock held and the gate open, so after `stop` returned, none is taken any more, and each
    that was taken before is counted. This is what lets a reload promise that no later request meets old code.
    """

    def __init__(
        self, listeners: List[Listener], handle: Handle, hand_over: Callable[[socket.socket, int], bool]
    ) -> None:
        self._listeners = listeners
        self._handle = handle
        self._hand_over = hand_over
        self._changed = threading.Condition()
        self._open = False
        self._stopped = False
        self._final = False
        self._busy = 0
        self._threads = False
        self._wake, self._waker = os.pipe()

    def go(self) -> None:
        with self._changed:
            self._open = not self._stopped
            self._changed.notify_all()

    def stop(self, final: bool = False) -> None:
        """`final`: nobody comes after, so what was asked is answered here."""
        with self._changed:
            self._final = final
            self._open = False
            self._stopped = True
            self._changed.notify_all()
        # Wakes all who wait for a connection; it is never read, so it stays a signal for all.
        os.write(self._waker, b"x")

    def wait_until_idle(self) -> None:
        with self._changed:
            while self._busy:
                self._changed.wait()

    def run(self, threads: int) -> None:
        """Serves in this thread and as many others; 0 means one for each connection."""
        self._threads = threads == 0
        for number in range(1, threads):
            threading.Thread(target=self._loop, name=f"worker-{number}", daemon=True).start()
        self._loop()

    def take(self, connection: socket.socket, index: int) -> None:
        """A connection that an older worker had taken, and on which nothing was asked yet."""
        with self._changed:
            self._busy += 1
        listener = self._listeners[index]
        threading.Thread(target=self._serve, args=(connection, _peer(connection), listener), daemon=True).start()

    def _loop(self) -> None:
        poller = select.poll()
        by_descriptor = {one.socket.fileno(): one for one in self._listeners}
        for descriptor in [*by_descriptor, self._wake]:
            poller.register(descriptor, select.POLLIN)
        while True:
            self._wait_until_open()
            for descriptor, _event in poller.poll():
                if descriptor in by_descriptor:
                    self._accept(by_descriptor[descriptor])

    def _wait_until_open(self) -> None:
        with self._changed:
            while not self._open:
                # A stopped worker's threads stay here until the process ends.
                self._changed.wait()

    def _accept(self, listener: Listener) -> None:
        with self._changed:
            if not self._open:
                return
            try:
                connection, peer = listener.socket.accept()
            except OSError:  # another worker was faster, or the client is gone again
                return
            self._busy += 1
        if self._threads:
            threading.Thread(target=self._serve, args=(connection, peer, listener), daemon=True).start()
        else:
            self._serve(connection, peer, listener)

    def _serve(self, connection: socket.socket, peer: Any, listener: Listener) -> None:
        try:
            connection.setblocking(True)
            if self._wait_for_request(connection, listener):
                self._handle(connection, peer, listener)
                _say_end(connection)
        except Exception:  # noqa: BLE001 - one connection must not end the thread that takes the others
            traceback.print_exc(file=sys.stderr)
        finally:
            connection.close()
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _wait_for_request(self, connection: socket.socket, listener: Listener) -> bool:
        """False when it was stopped before the request was begun: then newer code shall answer.

        Also when the request came just now: of what was asked after a reload's answer, nothing may be begun here.
        """
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        asked = connection.fileno() in [descriptor for descriptor, _event in poller.poll()]
        with self._changed:
            if not self._stopped:
                return True
        if self._final:
            return asked
        return not self._hand_over(connection, self._listeners.index(listener))


def _peer(connection: socket.socket) -> Optional[Any]:
    try:
        return connection.getpeername()
    except OSError:
        return None


def _say_end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass
