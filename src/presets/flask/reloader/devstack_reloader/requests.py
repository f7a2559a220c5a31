"""Requests for a reload: merged while they wait, each answered."""

import os
import time
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from . import decide
from .control import Client
from .nursery import Member

# What a client may ask for by name.
_BY_NAME = (decide.TEMPLATES, decide.APP, decide.DEPENDENCIES)


@dataclass
class Batch:
    """What was asked, by whom, and since when."""

    files: List[str] = field(default_factory=list)
    forced: str = ""
    askers: List[Tuple[Client, Any]] = field(default_factory=list)
    asked: bool = False  # by a client, be it answered already
    began: float = field(default_factory=time.monotonic)

    def add(self, client: Optional[Client], message: Dict[str, Any]) -> None:
        paths = [os.path.normpath(path) for path in [*message.get("files", []), *message.get("deleted", [])]]
        what = message.get("what", "auto")
        if what in _BY_NAME:
            self.forced = decide.stronger(self.forced, what)
        elif paths:
            self.files.extend(path for path in paths if path not in self.files)
        else:
            # Files that nobody named can be any.
            self.forced = decide.stronger(self.forced, decide.APP)
        if client is not None:
            self.askers.append((client, message.get("id")))
            self.asked = True

    def merge(self, other: "Batch") -> None:
        self.files = [*self.files, *(path for path in other.files if path not in self.files)]
        self.forced = decide.stronger(self.forced, other.forced)
        self.askers = [*self.askers, *other.askers]
        self.asked = self.asked or other.asked
        self.began = min(self.began, other.began)

    def answer(self, message: Dict[str, Any]) -> None:
        for client, asked in self.askers:
            client.send({"id": asked, **message})
        self.askers = []


@dataclass
class Load:
    """A generation on its way."""

    generation: int
    batch: Batch
    what: str
    first: Optional[Member] = None
    leaving: List[Member] = field(default_factory=list)  # those that must have stopped before the first may begin
    began: float = field(default_factory=time.monotonic)
    forked: float = 0.0
    ready: float = 0.0
    import_ms: float = 0.0
    retries: int = 0
    failure: Optional[Dict[str, Any]] = None
    quiet: bool = False  # asked by nobody: the workers move to a warm zygote

    @property
    def importing(self) -> bool:
        return not self.ready

    def times(self) -> Dict[str, float]:
        now = time.monotonic()
        return {
            "fork": _ms((self.forked or now) - self.began),
            "import": round(self.import_ms, 2),
            "switch": _ms(now - self.ready) if self.ready else 0.0,
            "total": _ms(now - self.batch.began),
        }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
