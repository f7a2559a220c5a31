"""What happens when a worker or a zygote ends that should not have."""

from typing import TYPE_CHECKING

from .crew import lived, say
from .nursery import Member, Nursery
from .requests import Batch, Load

if TYPE_CHECKING:
    from .supervisor import Supervisor


class Losses:
    """Replaces what died; more slowly, the more often it dies at once."""

    def __init__(self, server: "Supervisor") -> None:
        self._server = server
        self._failures = 0

    def recovered(self) -> None:
        self._failures = 0

    # Ends

    def gone(self, member: Member, how: str) -> None:
        load = self._server.load
        if load and member is load.first:
            self._first_gone(load, member, how)
            return
        was_serving = member in self._server.serving
        if was_serving:
            self._server.serving.remove(member)
        if load and load.first is None and self._server.exclusive and not self._server.serving and not load.retries:
            self._server.fork_first()
        self._server.switch_if_stopped()
        leaving = bool(load and (member in load.leaving or (self._server.exclusive and load.importing)))
        if was_serving and not leaving and not self._server.ending:
            self._replace(member, how)
        # At the end: what was asked may be decided by it, and begin a load.
        self._server.desk.answered(member.number, None)

    def _first_gone(self, load: Load, member: Member, how: str) -> None:
        text = f"the new worker {how} while it loaded the application"
        error = {"message": text, "file": None, "line": None, "column": None, "traceback": [text]}
        if load.failure:
            # It was only there to say why.
            self._server.load = None
            self._server.decided("failed", load.failure, load.batch)
            self._server.desk.next()
        else:
            self._server.load_failed(load, member, {"error": error})

    def _replace(self, member: Member, how: str) -> None:
        self._failures = self._failures + 1 if lived(member) < 1 else 0
        delay = min(0.1 * 2**self._failures, 10.0) if self._failures else 0.0
        say(f"worker {member.pid} {how}; another takes its place" + (f" in {delay:g} s" if delay else ""))
        self._server.loop.after(delay, self._refill)

    def _refill(self) -> None:
        if self._server.ending or self._server.load:
            return
        if self._server.serves_good():
            self._server.fill()
            self._server.news.changed()
        elif self._server.nursery:
            # Who is told waits for its end, which may be a failure.
            self._server.begin(Batch(), "app", quiet=self._server.state == "serving")

    def nursery_gone(self, nursery: Nursery) -> None:
        if self._server.ending:
            return
        if nursery is self._server.upkeep.warming.nursery:
            self._server.upkeep.warming.nursery = None
            self._server.upkeep.warming.again()
        elif nursery is self._server.nursery:
            say("the process that forks the workers ended; it is started anew")
            load, self._server.load, self._server.nursery = self._server.load, None, None
            self._failures += 1
            batch = load.batch if load else Batch(forced="app")
            self._server.loop.after(min(0.1 * 2**self._failures, 10.0), lambda: self._server.start_anew(batch))
