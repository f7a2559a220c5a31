"""A worker: a process forked from the zygote, which loads the application and serves until it is told to stop."""

import atexit
import gc
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from . import debug, failure, http_protocol, lifeline, load, pages, sources, templates, uwsgi_protocol, warm
from .channel import Channel, in_parts
from .serve import Gate, Listener
from .target import Target


# When the garbage collector begins, in seconds after the application was loaded.
GARBAGE_AFTER = 0.5


class Worker:
    """One process of one generation."""

    def __init__(self, target: Target, channel: Channel, order: Dict[str, Any], descriptors: List[int]) -> None:
        self.target = target
        self.channel = channel
        self.folder: str = order["folder"]
        self.listeners = _listeners(order["protocols"], descriptors)
        self.failure: Optional[Dict[str, Any]] = order["failure"]
        self.watch = warm.ImportWatch() if order["scout"] and warm.can_watch() else None
        self.inherited = set(sys.modules)
        self.memory = pages.mappings() if order["spare"] or not order["scout"] else []
        self.began = time.monotonic()
        self.gate: Optional[Gate] = None
        self.threads = target.threads
        self.access_log = target.access_log

    def run(self) -> None:
        """Never returns."""
        gc.disable()
        sources.forget_listings()
        debug.install(self._held, os.path.join(self.folder, "pdb.lock"))
        if self.watch:
            self.watch.__enter__()
        try:
            if self.failure:
                self._begin(failure.page(self.failure), {"is": "ready", "failure": True})
            folder = self._installed_folder()
            if folder:
                sources.add_app_folder(folder)
                self.channel.send({"is": "app folder", "folder": folder})
            app = load.load(self.target, self._serve_script)
            self._serve(app)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt at import are failures too
            self._fail(error)
        finally:
            os._exit(1)

    def _installed_folder(self) -> str:
        """The application's package, where it is installed among the third-party ones: its files are the app's too."""
        if not self.watch or self.target.kind not in ("module", "flask"):
            return ""
        return load.installed_folder(self.target.app or os.environ.get("FLASK_APP", ""))

    def _serve_script(self, app: Any, options: Dict[str, Any]) -> None:
        """The script called `app.run()`: its options say where and how to serve."""
        if options.get("ssl_context"):
            self._refuse("app.run(ssl_context=...): HTTPS")
        host = str(options["host"])
        address = (
            {"path": host[len("unix://") :]} if host.startswith("unix://") else {"host": host, "port": options["port"]}
        )
        self.channel.send({"is": "bind", "address": {"protocol": "http", **address}})
        message, descriptors = self.channel.receive()
        if message is None:
            os._exit(0)
        if message["do"] != "listen":
            raise OSError(message["error"])
        for listener in self.listeners:
            listener.socket.close()
        self.listeners = _listeners(["http"], descriptors)
        # Werkzeug's own server takes one connection at a time unless it is asked for more.
        self.threads = int(options.get("threads", 0 if options.get("threaded") else 1))
        self.access_log = self.target.server == "python" and "threads" not in options
        if options.get("use_debugger"):
            app = _with_debugger(app, bool(options.get("use_evalex", True)))
        self._serve(app)

    def _serve(self, app: Any) -> None:
        if self.target.debugger:
            app = _with_debugger(app, True)
        self._end_watch()
        self._look_for_refusals()
        self._begin(app, {"is": "ready"})

    def _begin(self, app: Any, message: Dict[str, Any]) -> None:
        self.gate = Gate(self.listeners, self._handler(app), self._hand_over)
        threading.Thread(target=self._obey, name="devstack-reloader", daemon=True).start()
        self._collect_later()
        message["ms"] = (time.monotonic() - self.began) * 1000
        message["threads"] = self.threads
        self.channel.send(message)
        self.gate.run(self.threads)

    def _collect_later(self) -> None:
        """Looking through all that was loaded is not the first request's work, and it stays anyway."""

        def begin() -> None:
            templates.remember()
            gc.freeze()
            gc.enable()

        timer = threading.Timer(GARBAGE_AFTER, begin)
        timer.daemon = True
        timer.start()

    def _handler(self, app: Any) -> Callable[[socket.socket, Any, Listener], None]:
        target = self.target

        def by_uwsgi(connection: socket.socket, _peer: Any, _listener: Listener) -> None:
            uwsgi_protocol.serve(connection, app, target.buffer_size, self.threads, target.processes, target.wsgi_env)

        def by_http(connection: socket.socket, peer: Any, listener: Listener) -> None:
            name = listener.socket.getsockname()
            address = name[:2] if isinstance(name, tuple) else (str(name), 0)
            server = http_protocol.Server(app, address, self.threads, target.processes)
            http_protocol.serve(connection, peer, server, http_protocol.handler(self.access_log))

        if any(one.protocol == "http" for one in self.listeners):
            http_protocol.handler(self.access_log)

        def handle(connection: socket.socket, peer: Any, listener: Listener) -> None:
            (by_uwsgi if listener.protocol == "uwsgi" else by_http)(connection, peer, listener)

        return handle

    def _fail(self, error: BaseException) -> None:
        self._end_watch()
        described = failure.describe(error)
        answer = {
            "is": "failed",
            "error": described,
            "refused": failure.wants_uwsgi(error) if self.target.server == "uwsgi" else None,
            "address_in_use": failure.address_in_use(error),
            "files": sorted(set(sources.app_modules().values()))[:500],
        }
        self.channel.send(answer)
        message, _ = self.channel.receive()
        if message is None or message["do"] != "serve failure":
            os._exit(1)
        self._begin(failure.page(described), {"is": "ready", "failure": True})

    def _refuse(self, reason: str) -> None:
        self.channel.send({"is": "refused", "reason": reason})
        self.channel.receive()
        os._exit(1)

    def _look_for_refusals(self) -> None:
        for name in ("gevent.monkey", "eventlet.patcher"):
            module = sys.modules.get(name)
            patched = module and (getattr(module, "saved", None) or getattr(module, "already_patched", None))
            if patched:
                self._refuse(f"the app replaces parts of Python's library ({name})")

    def _end_watch(self) -> None:
        if self.watch:
            self.watch.__exit__()

    def _obey(self) -> None:
        """The control thread: answers also while requests are being served."""
        while True:
            message, descriptors = self.channel.receive()
            if message is None:
                os._exit(0)
            try:
                self._do(message, descriptors)
            except Exception as error:  # noqa: BLE001 - a question that cannot be answered must not stop the answers
                print(f"devstack reloader: {message['do']}: {error!r}", file=sys.stderr, flush=True)

    def _do(self, message: Dict[str, Any], descriptors: List[int]) -> None:
        assert self.gate is not None
        what = message["do"]
        if what == "go":
            self.gate.go()
        elif what == "stop":
            self.gate.stop(bool(message.get("final")))
            self.channel.send({"is": "stopped"})
            threading.Thread(target=self._end_when_idle, daemon=True).start()
        elif what == "take":
            for descriptor in descriptors:
                self.gate.take(socket.socket(fileno=descriptor), message["index"])
        elif what == "templates":
            self.channel.send({"is": "templates", "turn": message["turn"], "count": templates.forget()})
        elif what == "loaded":
            files = set(sources.app_modules().values())
            loaded = [name for name in message["files"] if name in files]
            self.channel.send({"is": "loaded", "turn": message["turn"], "files": loaded})
        elif what == "about":
            self._tell_about(message["pages"])

    def _tell_about(self, with_pages: bool) -> None:
        own = pages.own_pages(self.memory) if with_pages else []
        for part in in_parts(own):
            self.channel.send({"is": "about", "pages": part})
        modules = [name for name in warm.third_party() if self.watch or name not in self.inherited]
        culprits = sorted(self.watch.culprits) if self.watch else []
        for part in in_parts(modules):
            self.channel.send({"is": "about", "modules": part})
        for part in in_parts(sorted(set(sources.app_modules().values()))):
            self.channel.send({"is": "about", "files": part})
        self.channel.send({"is": "about", "culprits": culprits})
        self.channel.send({"is": "about", **templates.folders(), "last": True})

    def _hand_over(self, connection: socket.socket, index: int) -> bool:
        return self.channel.send({"is": "hand over", "index": index}, [connection.fileno()])

    def _held(self, by: str) -> None:
        self.channel.send({"is": "held", "by": by})

    def _end_when_idle(self) -> None:
        assert self.gate is not None
        self.gate.wait_until_idle()
        # Written at the end of the process otherwise, which _exit skips; threads of the application's may go on
        # for ever, so the process cannot wait for them.
        try:
            atexit._run_exitfuncs()
        except Exception:  # noqa: BLE001, S110 - printed by atexit itself
            pass
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(0)


def _listeners(protocols: List[str], descriptors: List[int]) -> List[Listener]:
    return [Listener(socket.socket(fileno=fd), protocol) for fd, protocol in zip(descriptors, protocols)]


def _with_debugger(app: Any, evalex: bool) -> Any:
    from werkzeug.debug import DebuggedApplication

    return DebuggedApplication(app, evalex)


def start(target: Target, channel: Channel, order: Dict[str, Any], descriptors: List[int], parent: int) -> None:
    """In the forked child."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lifeline.die_with_parent(parent)
    made = Worker(target, channel, order, descriptors)
    if order["spare"]:
        pages.take(order["pages"])
        message, _ = channel.receive()
        if message is None:
            os._exit(0)
        made.began = time.monotonic()
    made.run()
