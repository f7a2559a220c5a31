"""From the command's words to a running supervisor, or to the original server."""

import os
import shutil
import signal
import sys
from typing import List, Optional, Tuple

from . import command, control
from .loop import Loop
from .supervisor import Supervisor
from .target import Refusal, Target


def main(arguments: List[str]) -> None:
    options, words = _split(arguments)
    if not words:
        raise SystemExit("usage: run.py [--app MODULE:NAME] -- COMMAND [WORD...]")
    folder: Optional[str] = None
    try:
        folder = control.folder_for_server()
        target = command.parse(words, dict(os.environ), os.getcwd())
        if options:
            _override(target, options[-1])
        _run(target, folder)
    except Refusal as refusal:
        _run_original(words, str(refusal), folder)
    except OSError as error:
        _run_original(words, f"{error.strerror or error}", folder)


def _run(target: Target, folder: str) -> None:
    """Never returns, but for a Refusal."""
    loop = Loop()
    supervisor = Supervisor(target, folder, loop)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda _number, _frame: loop.after(0, supervisor.farewell.end))
    signal.signal(
        signal.SIGHUP, lambda _number, _frame: loop.after(0, lambda: supervisor.desk.want(None, {"what": "app"}))
    )
    signal.signal(signal.SIGCHLD, lambda _number, _frame: loop.after(0, _reap))
    supervisor.start()
    loop.run()


def _reap() -> None:
    """As process 1 of a container, also those whose parents ended before them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _split(arguments: List[str]) -> Tuple[List[str], List[str]]:
    """The values of --app, and the words of the command."""
    apps: List[str] = [os.environ["DEVSTACK_APP"]] if os.environ.get("DEVSTACK_APP") else []
    rest = list(arguments)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word == "--app" and rest:
            apps.append(rest.pop(0))
        elif word.startswith("--app="):
            apps.append(word[len("--app=") :])
        else:
            raise SystemExit(f"run.py: unknown option {word}")
    return apps, rest[1:]


def _override(target: Target, app: str) -> None:
    if target.kind == "flask":
        target.app = app
        return
    module, _, name = app.partition(":")
    target.kind, target.app, target.callable = "module", module, name or "application"


def _run_original(words: List[str], reason: str, folder: Optional[str]) -> None:
    server = os.path.basename(words[0])
    print(f"devstack: {reason}: running {server} as it is", file=sys.stderr, flush=True)
    if folder:
        control.write_refusal(folder, reason)
    program = shutil.which(words[0]) or words[0]
    try:
        os.execv(program, words)
    except OSError as error:
        raise SystemExit(f"{words[0]}: {error.strerror}") from error
