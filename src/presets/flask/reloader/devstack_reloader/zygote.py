"""The zygote: holds the third-party modules, and forks workers that need not import them again.

It is a program of its own, run by the interpreter that has the application's packages. Nothing of the application is ever
imported here, and it has one thread only: what is forked from it is as good as freshly started.
"""

import gc
import importlib
import os
import select
import signal
import sys
from typing import Any, Dict, List, Optional, Set, Tuple

from . import lifeline, listeners, load, sources, warm, worker
from .channel import Channel
from .target import Target


class Zygote:
    """Forks on command, and tells which of its children ended."""

    def __init__(self, target: Target, channel: Channel, parent: int) -> None:
        self.target = target
        self.channel = channel
        self.parent = parent
        self.children: Set[int] = set()
        self._to_compile: List[str] = []
        self._pipe: List[int] = []
        self._modules: List[str] = []
        self._pages: List[str] = []
        self._held_back: List[Tuple[Dict[str, Any], List[int]]] = []

    def main(self) -> None:
        prepare(self.target)
        self._become_user()
        lifeline.die_with_parent(self.parent)
        woken, waker = self._pipe = list(os.pipe())
        os.set_blocking(waker, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        # Ctrl-C reaches the whole group of the terminal; the supervisor alone decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.channel.send({"is": "up"})
        poller = select.poll()
        poller.register(self.channel, select.POLLIN)
        poller.register(woken, select.POLLIN)
        while True:
            # Compiling ahead is done one file at a time, whenever nothing else is wanted.
            ready = poller.poll(0 if self._to_compile or self._held_back else None)
            if not ready and self._to_compile:
                sources.keep_code([self._to_compile.pop()])
            if not self._to_compile and self._held_back:
                self._fork(*self._held_back.pop())
            for descriptor, _event in ready:
                if descriptor == woken:
                    self._drain(woken)
                    self._reap()
                elif not self._obey():
                    return

    def _become_user(self) -> None:
        if os.getuid() != 0:
            return
        if self.target.gid:
            os.setgid(listeners.group_id(self.target.gid))
            os.setgroups([])
        if self.target.uid:
            os.setuid(listeners.user_id(self.target.uid))

    def _drain(self, descriptor: int) -> None:
        try:
            while os.read(descriptor, 512):
                pass
        except BlockingIOError:
            pass

    def _obey(self) -> bool:
        message, descriptors = self.channel.receive()
        if message is None:
            return False
        what = message["do"]
        if what == "fork" and message["spare"]:
            # It shall have the newest code too.
            self._held_back.append((message, descriptors))
        elif what == "fork":
            self._fork(message, descriptors)
        elif what == "pages":
            self._pages += message["ranges"]
        elif what == "warm":
            self._warm(set(message["left_out"]))
        elif what == "modules":
            self._modules += message["modules"]
        elif what == "app folder":
            sources.add_app_folder(message["folder"])
        elif what == "compile":
            for path in message["files"]:
                if path not in self._to_compile:
                    self._to_compile.append(path)
        return True

    def _fork(self, order: Dict[str, Any], descriptors: List[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        own = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                import socket

                self.channel.close()
                signal.set_wakeup_fd(-1)
                for descriptor in self._pipe:
                    os.close(descriptor)
                control = Channel(socket.socket(fileno=descriptors[0]))
                worker.start(self.target, control, {**order, "pages": self._pages}, descriptors[1:], own)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        self.children.add(pid)
        self.channel.send({"is": "forked", "worker": order["worker"], "pid": pid})

    def _reap(self) -> None:
        # By name, for init's sake: as process 1 of nothing, the zygote has no other children.
        for pid in list(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.children.discard(pid)
                self.channel.send({"is": "gone", "pid": pid, "status": status})

    def _warm(self, left_out: Set[str]) -> None:
        modules = self._modules
        tainted = warm.load(modules, left_out)
        if tainted:
            self.channel.send({"is": "tainted", "names": sorted(set(tainted))})
            return
        shared = sum(1 for name in modules if name in sys.modules)
        _load_what_serving_needs()
        gc.collect()
        # The collector would write into each object's header, and so copy the pages that all workers share.
        gc.freeze()
        self.channel.send({"is": "warm", "count": shared})


def _load_what_serving_needs() -> None:
    for name in ("werkzeug.serving", "werkzeug.debug"):
        if "werkzeug" in sys.modules:
            try:
                importlib.import_module(name)
            except ImportError:
                return


def prepare(target: Target) -> None:
    """Environment, folder and module path: as they were when the original server loaded the application."""
    os.environ.update(target.env)
    os.chdir(target.chdir)
    load.prepare(target)
    # Output that waits in a buffer is of no use to somebody who reads the container's log.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.dont_write_bytecode = True
    sources.use_sources()


def main(arguments: Optional[List[str]] = None) -> None:
    import socket

    descriptor, parent = arguments or sys.argv[1:]
    channel = Channel(socket.socket(fileno=int(descriptor)))
    # Not in the arguments, which everybody in the container may read: it may hold secrets.
    message, _ = channel.receive()
    if message is not None:
        Zygote(Target.from_json(message["target"]), channel, int(parent)).main()
