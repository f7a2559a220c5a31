"""Makes a zygote that holds the third-party modules, while the present one forks on."""

from typing import Callable, List, Optional, Set

from .channel import Message, in_parts
from .crew import Crew, say
from .nursery import Nursery

MOST_TRIES = 8


class Warming:
    """Which modules are wanted, which may not be held, and the zygote that is being filled."""

    def __init__(self, crew: Crew, done: Callable[[Optional[Nursery]], None]) -> None:
        self.nursery: Optional[Nursery] = None
        self._crew = crew
        self._done = done
        self._modules: List[str] = []
        self._left_out: Set[str] = set()
        self._tries = 0

    @property
    def possible(self) -> bool:
        return self._tries <= MOST_TRIES

    def forget(self) -> None:
        """Other packages may be installed now."""
        self._drop()
        self._modules, self._left_out, self._tries = [], set(), 0

    def begin(self, modules: List[str], culprits: List[str]) -> None:
        self._modules, self._left_out = modules, set(culprits)
        self.again()

    def add(self, modules: List[str]) -> None:
        """What newer code imports and the zygote does not have."""
        new = [one for one in modules if one not in self._left_out and one not in self._modules]
        if new:
            self._modules = [*self._modules, *new]
            self.again()

    def again(self) -> None:
        self._drop()
        self._tries += 1
        if self.possible:
            self.nursery = self._crew.new_nursery()
            return
        say("no modules are kept warm: importing them leaves threads or files open")
        self._done(None)

    def hear(self, message: Message) -> None:
        """What the zygote that is being filled says."""
        nursery = self.nursery
        assert nursery
        what = message["is"]
        if what == "up":
            for part in in_parts(self._modules):
                nursery.send("modules", modules=part)
            nursery.send("warm", left_out=sorted(self._left_out))
        elif what == "tainted":
            self._left_out.update(message["names"])
            self.again()
        elif what == "warm":
            nursery.is_warm, nursery.warm_count = True, message["count"]
            self.nursery, self._tries = None, 0
            self._done(nursery)

    def _drop(self) -> None:
        if self.nursery:
            self._crew.retire(self.nursery)
            self.nursery = None
