"""The parent of all: starts, reloads, answers. It imports nothing of the application.

        start -> first load -> serving <----------------------+
                     |            | reload                    |
                     v            v                           |
                  failed <----  load: fork, import, ready --> switch: old stop, new go
          (one worker serves the reason; the next reload loads again)
"""

import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional

from . import decide, failure
from .channel import Message, in_parts
from .control import Control
from .crew import Crew, lived, say
from .desk import Desk
from .loop import Loop
from .nursery import Member, Nursery
from .requests import Batch, Load
from .target import Address, Refusal, Target
from .warming import Warming

PORT_RETRIES = 50
LAST_WORDS = 3.0


class Supervisor:
    """One application and its workers."""

    def __init__(self, target: Target, folder: str, loop: Loop) -> None:
        self.target = target
        self.loop = loop
        self.crew = Crew(loop, target, folder)
        self.crew.on_member = self._hear
        self.crew.on_nursery = self._hear_nursery
        self.crew.on_gone = self._gone
        self.crew.on_nursery_gone = self._nursery_gone
        self.desk = Desk(self)
        self.warming = Warming(self.crew, self._warmed)
        self.control = Control(loop, folder, self.desk.asked)
        self.control.greet = lambda: None if self.state == "starting" else self.status("hello")
        self.state = "starting"
        self.generation = 0
        self.error: Optional[Dict[str, Any]] = None
        self.known = decide.Known(config_files=target.config_files)
        self.serving: List[Member] = []
        self.nursery: Optional[Nursery] = None
        self.load: Optional[Load] = None
        self.exclusive = False
        self.ending = False
        self._fresh: Message = {}
        self._failures = 0
        self._announced = False

    def start(self) -> None:
        for address in self.target.addresses:
            self.crew.listen(address)
        self.start_anew(Batch(forced="app"))

    # Loading

    def start_anew(self, batch: Batch) -> None:
        if self.nursery:
            self.crew.retire(self.nursery)
        self.warming.forget()
        self.nursery = self.crew.new_nursery()
        self.begin(batch, "dependencies" if batch.forced == "dependencies" else "app")

    def begin(self, batch: Batch, what: str, quiet: bool = False) -> None:
        generation = self.generation if quiet else self.generation + 1
        self.load = Load(generation, batch, what, quiet=quiet)
        if self.exclusive and self.serving:
            self._stop_before_loading(self.load)
        else:
            self.fork_first()

    def fork_first(self) -> None:
        assert self.load and self.nursery
        spare = next((one for one in self.nursery.members.values() if one.is_spare and not one.gone), None)
        if spare and spare.pid and not spare.unwanted and spare.send("load"):
            spare.is_spare, spare.generation, spare.born = False, self.load.generation, time.monotonic()
            self.load.first, self.load.forked = spare, time.monotonic()
            return
        self.load.first = self.crew.new_member(self.nursery, self.load.generation, not self.nursery.is_warm)

    def _stop_before_loading(self, load: Load) -> None:
        """The application holds something that only one process can have: a port of its own, mostly."""
        for member in self.serving:
            self.crew.stop(member)
            self.loop.after(LAST_WORDS, member.kill)

    def _ready(self, member: Member, message: Message) -> None:
        member.is_ready, member.threads = True, message["threads"]
        load = self.load
        if load and member is load.first:
            load.ready = time.monotonic()
            load.import_ms = message["ms"]
            others = [one for one in self.crew.members() if not (one is load.first or one.stopped or one.is_spare)]
            load.leaving = [one for one in others if one.is_ready]
            for one in others:
                # Who is still importing older code has taken no request yet.
                (self.crew.stop if one.is_ready else self.crew.dismiss)(one)
            self._switch_if_stopped()
        elif member.generation == self.generation:
            self.serving.append(member)
            member.send("go")
        else:
            self.crew.dismiss(member)

    def _switch_if_stopped(self) -> None:
        load = self.load
        if not load or not load.ready or any(not one.stopped for one in load.leaving):
            return
        assert load.first
        load.first.send("go")
        self.load = None
        self.serving = [load.first]
        if load.failure:
            self._decided("failed", load.failure)
            self.desk.next()
            return
        self.generation = load.generation
        self._failures = 0
        pids = [load.first.pid]
        load.batch.answer(
            {"type": "reloaded", "what": load.what, "generation": self.generation, "workers": pids, "ms": load.times()}
        )
        changed = self.state != "serving"
        self._decided("serving", None)
        if load.quiet or (changed and self.generation > 1):
            self.control.tell(self.status("changed"))
        self._fresh = {}
        load.first.send("about", pages=bool(self.nursery and self.nursery.is_warm and not self.nursery.knows_pages))
        self._fill()
        self.desk.next()

    def _fill(self) -> None:
        """The other workers of this generation; one answered already, so nobody waits for these."""
        if self.exclusive or self.state != "serving" or not self.nursery or self.ending:
            return
        # Before the zygote is warm each worker imports everything by itself; the others wait for it.
        if not self.nursery.is_warm and self.warming.possible:
            return
        have = [one for one in self.crew.members() if one.generation == self.generation and not one.stopped]
        for _ in range(self._wanted() - len(have)):
            self.crew.new_member(self.nursery, self.generation, False)

    def _wanted(self) -> int:
        return 1 if self.exclusive or self.target.debugger else self.target.processes

    def _decided(self, state: str, error: Optional[Dict[str, Any]]) -> None:
        first = self.state == "starting"
        self.state, self.error = state, error
        if first:
            self.control.greet_all()

    # What workers say

    def _hear(self, member: Member, message: Message, descriptors: List[int]) -> None:
        what = message["is"]
        if what == "ready":
            self._ready(member, message)
        elif what == "failed":
            self._failed(member, message)
        elif what == "stopped":
            member.stopped = True
            self._switch_if_stopped()
        elif what == "bind":
            self._bind(member, message)
        elif what == "about":
            self._learn(member, message)
        elif what == "hand over":
            self._hand_over(message, descriptors)
        elif what == "held":
            member.held = message["by"]
            self.control.tell(self.status("changed"))
        elif what == "refused":
            self._refused(message["reason"])
        elif what in ("templates", "loaded"):
            self.desk.answered(member.number, message)

    def _failed(self, member: Member, message: Message) -> None:
        load = self.load
        if message["refused"]:
            self._refused(message["refused"])
        elif not load or member is not load.first:
            self.exclusive = self.exclusive or message["address_in_use"]
            self._give_up(member, message["error"])
        elif message["address_in_use"] and self._serves_good() and not self.exclusive:
            # The workers that serve hold it: they have to leave before newer ones can load.
            self.exclusive = True
            self.crew.dismiss(member)
            load.first = None
            if load.quiet:
                self.load = None
                self.desk.next()
            else:
                self._stop_before_loading(load)
        elif message["address_in_use"] and self.exclusive and load.retries < PORT_RETRIES:
            self.crew.dismiss(member)
            load.first = None
            load.retries += 1
            self.loop.after(0.1, self._try_again)
        else:
            self._load_failed(load, member, message)

    def _try_again(self) -> None:
        if self.load and not self.load.first:
            self.fork_first()

    def _load_failed(self, load: Load, member: Member, message: Message) -> None:
        error = message["error"]
        good = self._serves_good()
        self.known.files.update(message.get("files", []))
        if not load.quiet:
            failure.report(error)
        load.batch.answer({"type": "failed", "error": error, "generation": self.generation, "serving": good})
        if good:
            self.crew.dismiss(member)
            self.load = None
            self.error = error
            self.desk.next()
            return
        load.failure = error
        if not member.gone and self.crew.open:
            member.send("serve failure")
            return
        self.crew.dismiss(member)
        self.load = None
        self._decided("failed", error)
        self.desk.next()

    def _serves_good(self) -> bool:
        return self.state == "serving" and any(not one.gone and not one.stopped for one in self.serving)

    def _give_up(self, member: Member, error: Dict[str, Any]) -> None:
        """One that should join those that serve cannot load: the files have changed, and the next reload will tell."""
        self.crew.dismiss(member)
        if not self.exclusive:
            failure.report(error)

    def _bind(self, member: Member, message: Message) -> None:
        address = Address(**message["address"])
        before = set(self.crew.open)
        try:
            descriptor = self.crew.listen(address)
        except OSError as error:
            member.send("cannot listen", error=f"{address.label()}: {error.strerror or error}")
            return
        member.send("listen", [descriptor])
        for key in before - {address.key()}:
            # The script moved; the old workers have descriptors of their own until they end.
            self.crew.open.pop(key)[1].close()

    def _hand_over(self, message: Message, descriptors: List[int]) -> None:
        load = self.load
        taker = load.first if load and load.ready else next((one for one in self.serving if not one.stopped), None)
        if taker:
            taker.send("take", descriptors, index=message["index"])

    def _learn(self, member: Member, message: Message) -> None:
        for key, value in message.items():
            if isinstance(value, list):
                self._fresh.setdefault(key, []).extend(value)
        if not message.get("last"):
            return
        fresh, self._fresh = self._fresh, {}
        self.known.files = set(fresh.get("files", []))
        self.known.templates = fresh["templates"]
        self.known.static = fresh["static"]
        self.known.app_folders = self.crew.app_folders
        modules = fresh.get("modules", [])
        if member.scout:
            self.warming.begin(modules, fresh.get("culprits", []))
        elif self.nursery and self.nursery.is_warm and member.nursery is self.nursery:
            if fresh.get("pages"):
                self.nursery.knows_pages = True
                for part in in_parts(fresh["pages"]):
                    self.nursery.send("pages", ranges=part)
            for part in in_parts(sorted(self.known.files)):
                self.nursery.send("compile", files=part)
            self.warming.add(modules)
            self._keep_spare()

    def _keep_spare(self) -> None:
        """One worker that only has to import, for the next reload."""
        assert self.nursery
        if self.load or self.ending or any(one.is_spare for one in self.nursery.members.values()):
            return
        self.crew.new_member(self.nursery, -1, False, spare=True)

    def _hear_nursery(self, nursery: Nursery, message: Message) -> None:
        load = self.load
        if message["is"] == "forked":
            if load and load.first and load.first.number == message["worker"]:
                load.forked = time.monotonic()
        elif nursery is self.warming.nursery:
            self.warming.hear(message)

    def _warmed(self, nursery: Optional[Nursery]) -> None:
        """The next workers come from this one; None: it cannot be had."""
        if nursery is None:
            self._announce()
            self._fill()
            self.desk.next()
            return
        before, self.nursery = self.nursery, nursery
        if before:
            self.crew.retire(before)
        for part in in_parts(sorted(self.known.files)):
            nursery.send("compile", files=part)
        self._announce()
        scouts = [one for one in self.serving if one.scout]
        if scouts and not self.load and not self.desk.waiting and self.state == "serving" and not self.exclusive:
            self.begin(Batch(), "app", quiet=True)
        else:
            self.desk.next()

    def _announce(self) -> None:
        if self._announced:
            return
        self._announced = True
        count = self._wanted()
        warm = self.nursery.warm_count if self.nursery else 0
        say(
            f"{count} worker{'s' if count > 1 else ''} of {self.target.label()} on {', '.join(self.crew.addresses())}, "
            f"{warm} modules kept warm"
        )

    # Ends

    def _gone(self, member: Member, how: str) -> None:
        load = self.load
        if load and member is load.first:
            text = f"the new worker {how} while it loaded the application"
            error = {"message": text, "file": None, "line": None, "column": None, "traceback": [text]}
            if load.failure:
                self.load = None
                self._decided("failed", load.failure)
            else:
                self._load_failed(load, member, {"error": error})
            return
        self.desk.answered(member.number, None)
        was_serving = member in self.serving
        if was_serving:
            self.serving.remove(member)
        if load and load.first is None and self.exclusive and not self.serving and not load.retries:
            self.fork_first()
        self._switch_if_stopped()
        leaving = bool(load and (member in load.leaving or (self.exclusive and load.importing)))
        if was_serving and not leaving and not self.ending:
            self._replace(member, how)

    def _replace(self, member: Member, how: str) -> None:
        self._failures = self._failures + 1 if lived(member) < 1 else 0
        delay = min(0.1 * 2**self._failures, 10.0) if self._failures else 0.0
        say(f"worker {member.pid} {how}; another takes its place" + (f" in {delay:g} s" if delay else ""))
        self.loop.after(delay, self._refill)

    def _refill(self) -> None:
        if self.ending or self.load:
            return
        if self._serves_good():
            self._fill()
        elif self.nursery:
            self.begin(Batch(), "app", quiet=self.state == "serving")
        self.control.tell(self.status("changed"))

    def _nursery_gone(self, nursery: Nursery) -> None:
        if self.ending:
            return
        if nursery is self.warming.nursery:
            self.warming.nursery = None
            self.warming.again()
        elif nursery is self.nursery:
            say("the process that forks the workers ended; it is started anew")
            self.nursery = None
            self._failures += 1
            self.load = None
            self.loop.after(min(0.1 * 2**self._failures, 10.0), lambda: self.start_anew(Batch(forced="app")))

    def status(self, kind: str) -> Message:
        held = next((one for one in self.crew.members() if one.held), None)
        return {
            "type": kind,
            "protocol": 1,
            "server": "reloader",
            "app": self.target.label(),
            "generation": self.generation,
            "state": self.state,
            "workers": [one.pid for one in self.serving],
            "threads": self.serving[0].threads if self.serving else self.target.threads,
            "addresses": self.crew.addresses(),
            "warm": self.nursery.warm_count if self.nursery else 0,
            "error": self.error,
            "debugger": {"pid": held.pid, "by": held.held} if held else None,
            "notes": self.target.notes,
        }

    # The end

    def _refused(self, reason: str) -> None:
        """The original server takes this process; devstack asks for a restart where it was a reload that showed it."""
        if self.generation and self.load:
            self.load.batch.answer({"type": "restart", "reason": reason})
        self.crew.kill_all()
        self.crew.close_listeners()
        self.control.close()
        raise Refusal(reason)

    def end(self) -> None:
        """Lets requests finish for a moment, then ends everything."""
        if self.ending:
            self._exit()
        self.ending = True
        for member in self.crew.members():
            member.send("stop")
        self._exit_when_empty(time.monotonic() + LAST_WORDS)

    def _exit_when_empty(self, deadline: float) -> None:
        left = [one for one in self.crew.members() if one.is_ready]
        if not left or time.monotonic() > deadline:
            self._exit()
        self.loop.after(0.01, lambda: self._exit_when_empty(deadline))

    def _exit(self) -> None:
        self.crew.kill_all()
        self.crew.close_listeners()
        self.control.close()
        sys.stdout.flush()
        os._exit(0)


def run(target: Target, folder: str) -> None:
    """Never returns, but for a Refusal."""
    loop = Loop()
    supervisor = Supervisor(target, folder, loop)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda _number, _frame: loop.after(0, supervisor.end))
    signal.signal(signal.SIGHUP, lambda _number, _frame: loop.after(0, lambda: supervisor.desk.want(None, {"what": "app"})))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: loop.after(0, _reap))
    supervisor.start()
    loop.run()


def _reap() -> None:
    """As process 1 of a container, also those whose parents ended before them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
