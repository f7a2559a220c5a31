"""`breakpoint()` in a worker: it says who holds the terminal, and says how to get one where there is none."""

import fcntl
import os
import sys
from typing import Any, Callable

# Called with "pdb" when the debugger takes the terminal, and with "" when it gives it back.
Notify = Callable[[str], None]


def install(notify: Notify, lock_path: str) -> None:
    """Puts `breakpoint()` under our care, unless the developer chose another debugger by PYTHONBREAKPOINT."""
    if os.environ.get("PYTHONBREAKPOINT"):
        return

    def hook(*arguments: Any, **keywords: Any) -> None:
        frame = sys._getframe(1)
        if not _has_terminal():
            _explain(frame)
            return
        _held_pdb(notify, lock_path).set_trace(frame, *arguments, **keywords)

    sys.breakpointhook = hook
    if _has_terminal():
        import pdb

        def set_trace(*_arguments: Any, **_keywords: Any) -> None:
            _held_pdb(notify, lock_path).set_trace(sys._getframe(1))

        pdb.set_trace = set_trace


def _has_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


def _explain(frame: Any) -> None:
    print(
        f"devstack reloader: breakpoint() at {frame.f_code.co_filename}:{frame.f_lineno} was passed by: the container has "
        "no terminal. Give the service `tty: true` and `stdin_open: true`, or use debugpy on a published port.",
        file=sys.stderr,
        flush=True,
    )


def _held_pdb(notify: Notify, lock_path: str) -> Any:
    import pdb

    class HeldPdb(pdb.Pdb):
        """One at a time among all workers: they share the terminal."""

        def interaction(self, *arguments: Any, **keywords: Any) -> None:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                notify("pdb")
                super().interaction(*arguments, **keywords)
            finally:
                notify("")
                os.close(lock)

    return HeldPdb(nosigint=True)
