"""The parent of all: starts, reloads, answers. It imports nothing of the application.

start -> first load -> serving <----------------------+
             |            | reload                    |
             v            v                           |
          failed <----  load: fork, import, ready --> switch: old stop, new go
  (one worker serves the reason; the next reload loads again)
"""

import os
import time
from typing import Any, Dict, List, Optional, Tuple

from . import failure
from .channel import Message
from .control import Control
from .crew import Crew
from .desk import Desk
from .farewell import LAST_WORDS, Farewell
from .loop import Loop
from .losses import Losses
from .news import News
from .nursery import Member, Nursery
from .requests import Batch, Load
from .target import Address, Target
from .upkeep import Upkeep

PORT_RETRIES = 50


class Supervisor:
    """One application and its workers."""

    def __init__(self, target: Target, folder: str, loop: Loop) -> None:
        self.target = target
        self.loop = loop
        self.crew = Crew(loop, target, folder)
        self.crew.on_member = self._hear
        self.crew.on_nursery = self._hear_nursery
        self.desk = Desk(self)
        self.upkeep = Upkeep(self)
        self.losses = Losses(self)
        self.farewell = Farewell(self)
        self.news = News(self)
        self.crew.on_gone = self.losses.gone
        self.crew.on_nursery_gone = self.losses.nursery_gone
        self.control = Control(loop, folder, self.desk.asked)
        self.control.greet = self.news.greeting
        self.state = "starting"
        self.generation = 0
        self.error: Optional[Dict[str, Any]] = None
        self.serving: List[Member] = []
        self.nursery: Optional[Nursery] = None
        self.load: Optional[Load] = None
        self.exclusive = False
        self.ending = False
        self._untaken: List[Tuple[int, int]] = []

    def start(self) -> None:
        for address in self.target.addresses:
            self.crew.listen(address)
        self.start_anew(Batch(forced="app"))

    # Loading

    def start_anew(self, batch: Batch) -> None:
        if self.nursery:
            self.crew.retire(self.nursery)
        self.upkeep.warming.forget()
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
        if member.unwanted:
            # It said so before it was ended: newer code is on its way.
            return
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
            self.switch_if_stopped()
        elif member.generation == self.generation:
            self.serving.append(member)
            member.send("go")
        else:
            self.crew.dismiss(member)

    def switch_if_stopped(self) -> None:
        load = self.load
        if not load or not load.ready or any(not one.stopped for one in load.leaving):
            return
        assert load.first
        load.first.send("go")
        for descriptor, index in self._untaken:
            load.first.send("take", [descriptor], index=index)
            os.close(descriptor)
        self._untaken = []
        self.load = None
        self.serving = [load.first]
        if load.failure:
            self.decided("failed", load.failure, load.batch)
            self.desk.next()
            return
        if load.first.address:
            self.crew.close_but(load.first.address)
        self.generation = load.generation
        self.losses.recovered()
        pids = [load.first.pid]
        load.batch.answer(
            {"type": "reloaded", "what": load.what, "generation": self.generation, "workers": pids, "ms": load.times()}
        )
        self.decided("serving", None, load.batch)
        self.upkeep.began()
        self.upkeep.after_switch(load.first, at_once=not load.batch.asked)
        self.desk.next()

    def fill(self) -> None:
        """The other workers of this generation; one answered already, so nobody waits for these."""
        if self.exclusive or self.state != "serving" or not self.nursery or self.ending:
            return
        # Before the zygote is warm each worker imports everything by itself; the others wait for it.
        if not self.nursery.is_warm and self.upkeep.warming.possible:
            return
        have = [one for one in self.crew.members() if one.generation == self.generation and not one.stopped]
        for _ in range(self.wanted() - len(have)):
            self.crew.new_member(self.nursery, self.generation, False)

    def wanted(self) -> int:
        return 1 if self.exclusive or self.target.debugger else self.target.processes

    def decided(self, state: str, error: Optional[Dict[str, Any]], batch: Batch) -> None:
        """How a load ended; whoever asked for it has the answer."""
        self.state, self.error = state, error
        if not batch.asked:
            self.news.changed()
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
            self.switch_if_stopped()
        elif what == "bind":
            self._bind(member, message)
        elif what == "about":
            self.upkeep.learn(member, message)
        elif what == "hand over":
            self._hand_over(message, descriptors)
        elif what == "held":
            member.held = message["by"]
            self.news.changed()
        elif what == "app folder":
            if message["folder"] not in self.crew.app_folders:
                self.crew.app_folders.append(message["folder"])
        elif what == "refused":
            self.farewell.refuse(message["reason"])
        elif what in ("templates", "loaded"):
            self.desk.answered(member.number, message)

    def _failed(self, member: Member, message: Message) -> None:
        load = self.load
        if message["refused"]:
            self.farewell.refuse(message["refused"])
        elif not load or member is not load.first:
            self.exclusive = self.exclusive or message["address_in_use"]
            self._give_up(member, message["error"])
        elif message["address_in_use"] and self.serves_good() and not self.exclusive:
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
            self.load_failed(load, member, message)

    def _try_again(self) -> None:
        if self.load and not self.load.first:
            self.fork_first()

    def load_failed(self, load: Load, member: Member, message: Message) -> None:
        error = message["error"]
        good = self.serves_good()
        self.upkeep.known.files.update(message.get("files", []))
        if not load.quiet:
            failure.report(error)
        load.batch.answer({"type": "failed", "error": error, "generation": self.generation, "serving": good})
        if good:
            self.crew.dismiss(member)
            self.load = None
            self.decided("serving", error, load.batch)
            self.desk.next()
            return
        load.failure, load.ready = error, 0.0
        if not self.crew.open:
            self.crew.dismiss(member)
            self.load = None
            self.decided("failed", error, load.batch)
            self.desk.next()
        elif not member.gone:
            member.send("serve failure")
        elif self.nursery:
            load.first = self.crew.new_member(self.nursery, load.generation, False, failure=error)

    def serves_good(self) -> bool:
        return self.state == "serving" and any(not one.gone and not one.stopped for one in self.serving)

    def _give_up(self, member: Member, error: Dict[str, Any]) -> None:
        """One that should join those that serve cannot load: the files have changed, and the next reload will tell."""
        self.crew.dismiss(member)
        if not self.exclusive:
            failure.report(error)

    def _bind(self, member: Member, message: Message) -> None:
        address = Address(**message["address"])
        try:
            descriptor = self.crew.listen(address)
        except OSError as error:
            member.send("cannot listen", error=f"{address.label()}: {error.strerror or error}")
            return
        member.address = address.key()
        member.send("listen", [descriptor])

    def _hand_over(self, message: Message, descriptors: List[int]) -> None:
        load = self.load
        taker = load.first if load and load.ready else next((one for one in self.serving if not one.stopped), None)
        if taker:
            taker.send("take", descriptors, index=message["index"])
        else:
            # The old had to leave before the new could load; whoever asked waits for these.
            self._untaken += [(os.dup(descriptor), message["index"]) for descriptor in descriptors]

    def _hear_nursery(self, nursery: Nursery, message: Message) -> None:
        load = self.load
        if message["is"] == "forked":
            if load and load.first and load.first.number == message["worker"]:
                load.forked = time.monotonic()
        elif nursery is self.upkeep.warming.nursery:
            self.upkeep.warming.hear(message)
