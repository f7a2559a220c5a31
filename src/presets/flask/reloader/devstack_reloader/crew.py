"""Keeps the workers: starts them, sends them on their way, and replaces those that die."""

import os
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, List, Tuple

from . import listeners
from .channel import Message
from .loop import Loop
from .nursery import Member, Nursery
from .target import Address, Target

# How long a request of older code may go on after a reload.
MERCY = 30.0
# How long a worker may take to say that it stopped: longer only when its code holds Python's lock.
CONFIRMATION = 5.0


def say(text: str) -> None:
    print(f"devstack reloader: {text}", file=sys.stderr, flush=True)


class Crew:
    """Zygotes, workers and listening sockets."""

    def __init__(self, loop: Loop, target: Target, folder: str) -> None:
        self.loop = loop
        self.target = target
        self.folder = folder
        self.nurseries: List[Nursery] = []
        self.open: Dict[str, Tuple[Address, Any]] = {}
        self.app_folders: List[str] = []
        self.on_member: Callable[[Member, Message, List[int]], None] = lambda *_: None
        self.on_nursery: Callable[[Nursery, Message], None] = lambda *_: None
        self.on_gone: Callable[[Member, str], None] = lambda *_: None
        self.on_nursery_gone: Callable[[Nursery], None] = lambda *_: None
        self._count = 0

    def listen(self, address: Address) -> int:
        """The descriptor of a socket that listens there, opened if it is not yet."""
        if address.key() not in self.open:
            self.open[address.key()] = (address, listeners.listen(address, self.target.backlog))
        return int(self.open[address.key()][1].fileno())

    def close_listeners(self) -> None:
        for address, sock in self.open.values():
            sock.close()
            listeners.remove(address)
        self.open = {}

    def close_but(self, key: str) -> None:
        """A script listens in another place now; shut down, since other processes may still hold the old socket."""
        for other in [one for one in self.open if one != key]:
            _, sock = self.open.pop(other)
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def addresses(self) -> List[str]:
        return [address.label() for address, _ in self.open.values()]

    def members(self) -> List[Member]:
        return [member for nursery in self.nurseries for member in nursery.members.values()]

    def new_nursery(self) -> Nursery:
        nursery = Nursery(self.target, self.app_folders)
        self.nurseries.append(nursery)
        self.loop.watch(nursery.channel, lambda: self._hear_nursery(nursery))
        return nursery

    def new_member(
        self, nursery: Nursery, generation: int, scout: bool, spare: bool = False, failure: Any = None
    ) -> Member:
        self._count += 1
        sockets = [(address.protocol, sock.fileno()) for address, sock in self.open.values()]
        member = nursery.fork(self._count, generation, scout, self.folder, sockets, spare, failure)
        self.loop.watch(member.channel, lambda: self._hear_member(member))
        return member

    def retire(self, nursery: Nursery) -> None:
        """Its workers are its children and end with it, so it stays until the last of them is gone."""
        nursery.retired = True
        for member in nursery.members.values():
            if member.is_spare:
                member.kill()
        self._end_if_empty(nursery)

    def stop(self, member: Member) -> None:
        """No more connections; what it has, it may finish."""
        if not member.send("stop"):
            member.stopped = True
            return
        self.loop.after(CONFIRMATION, lambda: self._insist(member))
        self.loop.after(MERCY, lambda: self._end_mercy(member))

    def _insist(self, member: Member) -> None:
        if not member.stopped and not member.gone and not member.held:
            say(f"ended worker {member.pid}: it did not stop within {CONFIRMATION:g} s")
            member.kill()

    def _end_mercy(self, member: Member) -> None:
        if member.gone:
            return
        if member.held:
            self.loop.after(MERCY, lambda: self._end_mercy(member))
            return
        say(f"ended worker {member.pid}: a request was still open {MERCY:g} s after the reload")
        member.kill()

    def dismiss(self, member: Member) -> None:
        """A worker that never served."""
        member.kill()

    def _hear_member(self, member: Member) -> None:
        # Without waiting: an event may be of an older channel that had the same number.
        message, descriptors = member.channel.receive(wait=False)
        if message is None:
            self.loop.forget(member.channel)
        if not message:
            return
        self.on_member(member, message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def _hear_nursery(self, nursery: Nursery) -> None:
        message, _ = nursery.channel.receive(wait=False)
        if message is None:
            self._lose(nursery)
        elif not message:
            return
        elif message["is"] == "forked":
            member = nursery.members.get(message["worker"])
            if member:
                member.pid = message["pid"]
                if member.unwanted:
                    member.kill()
                self.on_nursery(nursery, message)
        elif message["is"] == "gone":
            member = nursery.by_pid(message["pid"])
            if member:
                self._bury(member, _how(message["status"]))
            self._end_if_empty(nursery)
        else:
            self.on_nursery(nursery, message)

    def _bury(self, member: Member, how: str) -> None:
        # What it said last was said before it ended.
        while not member.gone and self._has_more(member):
            self._hear_member(member)
        member.gone = member.stopped = True
        member.nursery.members.pop(member.number, None)
        self.loop.forget(member.channel)
        self.on_gone(member, how)
        member.channel.close()

    def _has_more(self, member: Member) -> bool:
        import select

        poller = select.poll()
        poller.register(member.channel, select.POLLIN)
        return any(event & select.POLLIN for _, event in poller.poll(0)) and _peek(member)

    def _lose(self, nursery: Nursery) -> None:
        if nursery not in self.nurseries:
            return
        self.nurseries.remove(nursery)
        self.loop.forget(nursery.channel)
        nursery.channel.close()
        for member in list(nursery.members.values()):
            # Its children may be of another mind about ending with it.
            member.kill()
            self._bury(member, "ended with its zygote")
        self.on_nursery_gone(nursery)

    def _end_if_empty(self, nursery: Nursery) -> None:
        if nursery.retired and not nursery.members and nursery in self.nurseries:
            self.nurseries.remove(nursery)
            self.loop.forget(nursery.channel)
            nursery.channel.close()

    def kill_all(self) -> None:
        for nursery in self.nurseries:
            for member in nursery.members.values():
                member.kill()
            try:
                os.kill(nursery.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _peek(member: Member) -> bool:
    try:
        return bool(member.channel.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"ended by {signal.Signals(number).name}"
        except ValueError:
            return f"ended by signal {number}"
    return f"ended with {os.WEXITSTATUS(status)}"


def lived(member: Member) -> float:
    return time.monotonic() - member.born
