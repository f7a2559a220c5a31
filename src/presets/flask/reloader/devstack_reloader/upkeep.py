"""Between reloads: learns what the workers have loaded, and makes the next reload fast."""

from typing import TYPE_CHECKING, Optional

from . import decide
from .channel import Message, in_parts
from .crew import say
from .nursery import Member, Nursery
from .requests import Batch
from .warming import Warming

if TYPE_CHECKING:
    from .supervisor import Supervisor


# How long the first requests of a generation have the processor to themselves.
REST = 0.1


class Upkeep:
    """What is known of the application, the warm zygote, and the spare worker."""

    def __init__(self, server: "Supervisor") -> None:
        self._server = server
        self.warming = Warming(server.crew, self.warmed)
        self.known = decide.Known(config_files=server.target.config_files, app_folders=server.crew.app_folders)
        self._fresh: Message = {}
        self._announced = False

    def began(self) -> None:
        """Another generation serves: what was half told of the last one is void."""
        self._fresh = {}

    def after_switch(self, first: Member, at_once: bool) -> None:
        """What can wait until the first requests of a generation are answered: it takes the processor from them."""
        server = self._server
        if not at_once or server.load:
            server.loop.after(REST, lambda: self.after_switch(first, server.load is None))
        elif first in server.serving and not first.gone:
            nursery = server.nursery
            first.send("about", pages=bool(nursery and nursery.is_warm and not nursery.knows_pages))
            server.fill()

    def learn(self, member: Member, message: Message) -> None:
        for key, value in message.items():
            if isinstance(value, list):
                self._fresh.setdefault(key, []).extend(value)
        if not message.get("last"):
            return
        fresh, self._fresh = self._fresh, {}
        self.known.files = set(fresh.get("files", []))
        self.known.templates = decide.without_modules(fresh["templates"], self.known.files)
        self.known.static = decide.without_modules(fresh["static"], self.known.files)
        modules = fresh.get("modules", [])
        if member.scout:
            self.warming.begin(modules, fresh.get("culprits", []))
        elif self._server.nursery and self._server.nursery.is_warm and member.nursery is self._server.nursery:
            if fresh.get("pages"):
                self._server.nursery.knows_pages = True
                for part in in_parts(fresh["pages"]):
                    self._server.nursery.send("pages", ranges=part)
            for part in in_parts(sorted(self.known.files)):
                self._server.nursery.send("compile", files=part)
            self.warming.add(modules)
            self._keep_spare()

    def _keep_spare(self) -> None:
        """One worker that only has to import, for the next reload."""
        assert self._server.nursery
        if (
            self._server.load
            or self._server.ending
            or any(one.is_spare for one in self._server.nursery.members.values())
        ):
            return
        self._server.crew.new_member(self._server.nursery, -1, False, spare=True)

    def warmed(self, nursery: Optional[Nursery]) -> None:
        """The next workers come from this one; None: it cannot be had."""
        if nursery is None:
            self._announce()
            self._server.fill()
            self._server.desk.next()
            return
        before, self._server.nursery = self._server.nursery, nursery
        if before:
            self._server.crew.retire(before)
        for part in in_parts(sorted(self.known.files)):
            nursery.send("compile", files=part)
        self._announce()
        scouts = [one for one in self._server.serving if one.scout]
        if (
            scouts
            and not self._server.load
            and not self._server.desk.waiting
            and self._server.state == "serving"
            and not self._server.exclusive
        ):
            self._server.begin(Batch(), "app", quiet=True)
        else:
            self._server.desk.next()

    def _announce(self) -> None:
        if self._announced:
            return
        self._announced = True
        count = self._server.wanted()
        warm = self._server.nursery.warm_count if self._server.nursery else 0
        say(
            f"{count} worker{'s' if count > 1 else ''} of {self._server.target.label()} on {', '.join(self._server.crew.addresses())}, "
            f"{warm} modules kept warm"
        )
