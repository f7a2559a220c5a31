"""Takes what clients ask, and decides what is done for it and when."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from . import decide
from .channel import Message
from .control import Client
from .requests import Batch

if TYPE_CHECKING:
    from .supervisor import Supervisor

# A load that takes longer than this is no longer begun anew for a newer save, or a developer who saves all the time
# would never see any.
LONGEST_SUPERSEDED = 3.0
# How long a worker may take to answer a question.
CONFIRM = 5.0

Answers = List[Optional[Message]]


class Desk:
    """What was asked and is not answered yet."""

    def __init__(self, server: "Supervisor") -> None:
        self.waiting: Optional[Batch] = None
        self._server = server
        # By worker: the turn in which it was asked, and who takes its answer.
        self._questions: Dict[int, Tuple[int, Callable[[Optional[Message]], None]]] = {}
        self._turn = 0

    def answered(self, number: int, message: Optional[Message]) -> None:
        """A worker's answer to a question, or None when it died over it."""
        turn, take = self._questions.get(number, (0, None))
        # One that came too late answers another question than this.
        if take and (message is None or message.get("turn") == turn):
            del self._questions[number]
            take(message)

    def asked(self, client: Client, message: Message) -> None:
        kind = message.get("type")
        if kind == "status":
            client.send({"id": message.get("id"), **self._server.news.status("status")})
        elif kind == "reload":
            self.want(client, message)
        else:
            client.send({"id": message.get("id"), "type": "error", "message": f"unknown type: {kind!r}"})

    def want(self, client: Optional[Client], message: Message) -> None:
        batch = Batch()
        batch.add(client, message)
        if self.waiting:
            self.waiting.merge(batch)
        else:
            self.waiting = batch
        self.next()

    def next(self) -> None:
        """Begins what waits, as soon as nothing else is under way."""
        if not self.waiting or self._server.ending or (self._questions and not self._server.load):
            return
        if self._server.load:
            self._supersede()
            return
        if self._server.state == "starting" or self._server.nursery is None:
            return
        if self._server.upkeep.warming.nursery and not self._server.nursery.is_warm and self._server.state == "serving":
            return
        batch, self.waiting = self.waiting, None
        what, because = self._decide(batch)
        self._do(batch, what, because)

    def _supersede(self) -> None:
        """A newer save makes what is being imported out of date."""
        load, batch = self._server.load, self.waiting
        assert load and batch
        what, _ = self._decide(batch)
        if (
            what != decide.APP
            or self._only_beside(batch)
            or not load.importing
            or load.first is None
            or load.failure
            or load.first.scout
            or time.monotonic() - load.batch.began > LONGEST_SUPERSEDED
        ):
            return
        self.waiting = None
        first, load.first = load.first, None
        self._server.crew.dismiss(first)
        load.batch.merge(batch)
        load.quiet = False
        load.generation = self._server.generation + 1
        self._server.fork_first()

    def _decide(self, batch: Batch) -> Any:
        what, because = decide.decide(batch.files, self._server.upkeep.known)
        if batch.forced:
            what = decide.stronger(what, batch.forced) if batch.files else batch.forced
        if self._server.error and what in (decide.NOTHING, decide.TEMPLATES):
            # What failed may have failed for the want of any file.
            what = decide.APP
        return what, because

    def _do(self, batch: Batch, what: str, because: str) -> None:
        if what == decide.RESTART:
            batch.answer({"type": "restart", "reason": decide.reason(because, self._server.upkeep.known)})
        elif what == decide.DEPENDENCIES:
            batch.forced = decide.DEPENDENCIES
            self._server.start_anew(batch)
        elif what == decide.TEMPLATES:
            self._ask("templates", {}, lambda answers: self._if_all(batch, what, answers))
        elif what == decide.NOTHING:
            self._done(batch, what)
        elif self._only_beside(batch):
            self._ask("loaded", {"files": batch.files}, lambda answers: self._if_loaded(batch, answers))
        else:
            self._server.begin(batch, decide.APP)

    def _only_beside(self, batch: Batch) -> bool:
        """Whether nothing but tests and migrations changed, and nothing failed that may have wanted one of them."""
        quiet = not self._server.error and not batch.forced
        return quiet and bool(batch.files) and all(decide.beside(one) for one in batch.files)

    def _if_all(self, batch: Batch, what: str, answers: Answers) -> None:
        if None in answers:
            self._load(batch)
        else:
            self._done(batch, what)

    def _if_loaded(self, batch: Batch, answers: Answers) -> None:
        if all(answer is not None and not answer["files"] for answer in answers):
            self._done(batch, decide.NOTHING)
        else:
            self._load(batch)

    def _load(self, batch: Batch) -> None:
        """In its turn: while the workers were asked, another load may have begun."""
        batch.forced = decide.stronger(batch.forced, decide.APP)
        if self.waiting:
            batch.merge(self.waiting)
        self.waiting = batch
        self.next()

    def _done(self, batch: Batch, what: str) -> None:
        total = round((time.monotonic() - batch.began) * 1000, 2)
        pids = [one.pid for one in self._server.serving]
        ms = {"fork": 0, "import": 0, "switch": 0, "total": total}
        batch.answer(
            {"type": "reloaded", "what": what, "generation": self._server.generation, "workers": pids, "ms": ms}
        )
        self.next()

    def _ask(self, what: str, more: Message, then: Callable[[Answers], None]) -> None:
        """Asks all who serve, or still load for this generation; one that dies or is silent answers None."""
        generation = self._server.generation
        members = self._server.crew.members()
        asked = [one for one in members if one.generation == generation and not (one.stopped or one.unwanted)]
        answers: Answers = []
        self._turn += 1

        def take(answer: Optional[Message]) -> None:
            answers.append(answer)
            if len(answers) == len(asked):
                then(answers)

        if not asked:
            then([None])
        for member in asked:
            self._questions[member.number] = (self._turn, take)
            self._server.loop.after(CONFIRM, partial(self._too_late, member.number, take))
            member.send(what, turn=self._turn, **more)

    def _too_late(self, number: int, take: Callable[[Optional[Message]], None]) -> None:
        if self._questions.get(number, (0, None))[1] is take:
            self.answered(number, None)
