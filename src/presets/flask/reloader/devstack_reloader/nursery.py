"""The supervisor's side of a zygote and of its workers."""

import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from .channel import Channel, Message
from .target import Target

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "zygote.py")


class Member:
    """One worker, as the supervisor sees it."""

    def __init__(self, number: int, nursery: "Nursery", channel: Channel, generation: int, scout: bool) -> None:
        self.number = number
        self.nursery = nursery
        self.channel = channel
        self.generation = generation
        self.scout = scout
        self.pid = 0
        self.born = time.monotonic()
        self.is_spare = False  # waits for the next reload
        self.is_ready = False
        self.stopped = False
        self.gone = False
        self.unwanted = False  # to be ended as soon as its number is known
        self.held = ""  # the debugger that holds the terminal
        self.threads = 1
        self.address = ""  # where its script wants to listen

    def send(self, what: str, descriptors: Optional[List[int]] = None, **more: Any) -> bool:
        return self.channel.send({"do": what, **more}, descriptors)

    def kill(self) -> None:
        self.unwanted = True
        if self.pid and not self.gone:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Nursery:
    """A zygote: from its start to the end of its last worker."""

    def __init__(self, target: Target, folders: List[str]) -> None:
        self.members: Dict[int, Member] = {}
        self.is_warm = False
        self.retired = False
        self.warm_count = 0
        self.knows_pages = False
        self.channel, theirs = Channel.pair()
        self.pid = self._spawn(target, theirs)
        theirs.close()
        self.send("target", target=target.to_json())
        for folder in folders:
            self.send("app folder", folder=folder)

    def _spawn(self, target: Target, theirs: Channel) -> int:
        own = os.getpid()
        command = [target.python, "-B", *target.python_flags, _PROGRAM, str(theirs.fileno()), str(own)]
        pid = os.fork()
        if pid == 0:
            try:
                os.set_inheritable(theirs.fileno(), True)
                os.execvp(command[0], command)
            except OSError as error:
                print(f"devstack reloader: cannot run {command[0]}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(127)
        return pid

    def send(self, what: str, descriptors: Optional[List[int]] = None, **more: Any) -> bool:
        return self.channel.send({"do": what, **more}, descriptors)

    def fork(
        self,
        number: int,
        generation: int,
        scout: bool,
        folder: str,
        listeners: List[Tuple[str, int]],
        spare: bool = False,
        failure: Any = None,
    ) -> Member:
        """Only orders it: its number in the system is known when the zygote has answered."""
        ours, theirs = Channel.pair()
        order: Message = {
            "worker": number,
            "scout": scout,
            "spare": spare,
            "failure": failure,
            "folder": folder,
            "protocols": [protocol for protocol, _ in listeners],
        }
        self.send("fork", [theirs.fileno(), *(descriptor for _, descriptor in listeners)], **order)
        theirs.close()
        member = self.members[number] = Member(number, self, ours, generation, scout)
        member.is_spare = spare
        return member

    def by_pid(self, pid: int) -> Optional[Member]:
        return next((one for one in self.members.values() if one.pid == pid), None)
