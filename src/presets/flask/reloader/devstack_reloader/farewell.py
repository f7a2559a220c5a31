"""How the supervisor ends: for good, or in favour of the original server."""

import os
import sys
import time
from typing import TYPE_CHECKING

from .target import Refusal

if TYPE_CHECKING:
    from .supervisor import Supervisor

LAST_WORDS = 3.0


class Farewell:
    """Leaves no process, socket or file behind."""

    def __init__(self, server: "Supervisor") -> None:
        self._server = server

    # The end

    def refuse(self, reason: str) -> None:
        """The original server takes this process; devstack asks for a restart where it was a reload that showed it."""
        if self._server.generation and self._server.load:
            self._server.load.batch.answer({"type": "restart", "reason": reason})
        self._server.crew.kill_all()
        self._server.crew.close_listeners()
        self._server.control.close()
        raise Refusal(reason)

    def end(self) -> None:
        """Lets requests finish for a moment, then ends everything."""
        if self._server.ending:
            self._exit()
        self._server.ending = True
        for member in self._server.crew.members():
            member.send("stop", final=True)
        self._exit_when_empty(time.monotonic() + LAST_WORDS)

    def _exit_when_empty(self, deadline: float) -> None:
        left = [one for one in self._server.crew.members() if one.is_ready]
        if not left or time.monotonic() > deadline:
            self._exit()
        self._server.loop.after(0.01, lambda: self._exit_when_empty(deadline))

    def _exit(self) -> None:
        self._server.crew.kill_all()
        self._server.crew.close_listeners()
        self._server.control.close()
        sys.stdout.flush()
        os._exit(0)
