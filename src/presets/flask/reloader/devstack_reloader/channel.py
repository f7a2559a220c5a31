"""Messages between the reloader's own processes: JSON in packets, with file descriptors where wanted.

Packets keep their boundaries, so a reader never has to put halves together and a descriptor belongs to one message.
"""

import json
import os
import socket
from typing import Any, Dict, List, Optional, Tuple

Message = Dict[str, Any]

# Below the kernel's default for a packet, which is some 200 KiB.
LARGEST = 160_000
MOST_DESCRIPTORS = 32


class Channel:
    """One end of a pair of sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    @staticmethod
    def pair() -> Tuple["Channel", "Channel"]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(ours), Channel(theirs)

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: Message, descriptors: Optional[List[int]] = None) -> bool:
        """False when the other end is gone."""
        data = json.dumps(message).encode()
        try:
            socket.send_fds(self.socket, [data], descriptors or [])
        except OSError:
            return False
        return True

    def receive(self, wait: bool = True) -> Tuple[Optional[Message], List[int]]:
        """The next message, or None at the end; without waiting, an empty one where there is none."""
        try:
            data, descriptors, _flags, _address = socket.recv_fds(
                self.socket, LARGEST + 4096, MOST_DESCRIPTORS, 0 if wait else socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return {}, []
        except OSError:
            return None, []
        if not data:
            return None, []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return json.loads(data), descriptors

    def close(self) -> None:
        self.socket.close()


def in_parts(names: List[str]) -> List[List[str]]:
    """Lists of paths short enough for a packet each."""
    parts: List[List[str]] = [[]]
    size = 0
    for name in names:
        size += len(name) * 2 + 8
        if size > LARGEST // 2:
            parts.append([])
            size = len(name)
        parts[-1].append(name)
    return parts
