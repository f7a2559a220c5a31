"""What is to be served and how: what the supervisor, the zygote and the workers need to know of the command."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional


class Refusal(Exception):
    """The command does something that only the original server can do; the message names it."""


@dataclass
class Address:
    """A socket to listen on, and what is spoken there."""

    protocol: str  # "uwsgi" or "http"
    host: str = ""
    port: int = 0
    path: str = ""  # of a Unix socket; one in the abstract namespace begins with "@"
    mode: Optional[int] = None
    umask: Optional[int] = None
    owner: str = ""  # "user:group", as the command has it

    def label(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def key(self) -> str:
        return f"{self.protocol} {self.label()}"


@dataclass
class Target:
    """One application and the server around it."""

    server: str  # the original's name: "uwsgi", "flask", "python", "gunicorn", "waitress"
    kind: str  # "module", "file", "flask" or "script"
    app: str  # module:callable, a file, what flask's --app says, or the script
    python: str  # the interpreter that has the application's packages
    python_flags: List[str] = field(default_factory=list)
    callable: str = "application"
    argv: List[str] = field(default_factory=list)  # sys.argv for the application
    chdir: str = "."
    path: List[str] = field(default_factory=list)  # put before sys.path, in this order
    env: Dict[str, str] = field(default_factory=dict)
    uid: str = ""
    gid: str = ""
    addresses: List[Address] = field(default_factory=list)
    processes: int = 1
    threads: int = 1  # 0: a thread for each connection
    backlog: int = 128
    buffer_size: int = 4096
    access_log: bool = False
    debugger: bool = False  # Werkzeug's, in the browser
    wsgi_env: Dict[str, str] = field(default_factory=dict)
    config_files: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)  # options that have no effect here

    def label(self) -> str:
        return f"{self.app}:{self.callable}" if self.kind in ("module", "file") else self.app or "wsgi.py or app.py"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Target":
        values: Dict[str, Any] = json.loads(text)
        values["addresses"] = [Address(**one) for one in values["addresses"]]
        return Target(**values)
