"""What clients are told of the server: when they come, when they ask, and when it changes by itself."""

from typing import TYPE_CHECKING, Optional

from .channel import Message

if TYPE_CHECKING:
    from .supervisor import Supervisor


class News:
    """Says that the application is served only while a worker serves it."""

    def __init__(self, server: "Supervisor") -> None:
        self._server = server

    def greeting(self) -> Optional[Message]:
        """None until it is decided how the application stands: the load that is under way will tell."""
        return self.status("hello") if self._is_decided() else None

    def changed(self) -> None:
        if self._is_decided():
            self._server.control.tell(self.status("changed"))

    def _is_decided(self) -> bool:
        return self._server.state == "failed" or self._server.serves_good()

    def status(self, kind: str) -> Message:
        server = self._server
        held = next((one for one in server.crew.members() if one.held), None)
        return {
            "type": kind,
            "protocol": 1,
            "server": "reloader",
            "app": server.target.label(),
            "generation": server.generation,
            "state": server.state,
            "workers": [one.pid for one in server.serving],
            "threads": server.serving[0].threads if server.serving else server.target.threads,
            "addresses": server.crew.addresses(),
            "warm": server.nursery.warm_count if server.nursery else 0,
            "loading": server.load is not None,
            "error": server.error,
            "debugger": {"pid": held.pid, "by": held.held} if held else None,
            "notes": server.target.notes,
        }
