"""Which third-party modules may be imported once and shared by all workers.

The scout (the first worker) imports the application as it is and is watched: what each import leaves open. The zygote
then imports the third-party modules by themselves, watched too. A module whose import starts a thread or leaves a file or
socket open is left to the workers, and so are those that import it: threads do not survive a fork, and a socket shared by
several processes mixes up their bytes.
"""

import importlib
import os
import sys
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from typing import Any, Callable, FrozenSet, List, Optional, Set, Tuple

from . import sources

Snapshot = Tuple[FrozenSet[str], FrozenSet[str]]


class Tainted(BaseException):
    """Importing went where the zygote may not go. Not an Exception: no `except ImportError` may swallow it."""


def snapshot() -> Snapshot:
    """The open files and the threads of this process."""
    return frozenset(os.listdir("/proc/self/fd")), frozenset(os.listdir("/proc/self/task"))


def can_watch() -> bool:
    return os.path.isdir("/proc/self/task")


class ImportWatch:
    """Notes, for each module that is executed, whether it left something open, and who was importing it."""

    def __init__(self, refuse: Optional[Callable[[str, str], None]] = None) -> None:
        self.culprits: Set[str] = set()
        self._stack: List[str] = []
        self._refuse = refuse
        self._saved: List[Tuple[Any, str, Any]] = []
        self._blamed: Set[str] = set()

    def __enter__(self) -> "ImportWatch":
        for cls, name in (
            (SourceFileLoader, "exec_module"),
            (ExtensionFileLoader, "create_module"),
            (ExtensionFileLoader, "exec_module"),
        ):
            self._saved.append((cls, name, cls.__dict__.get(name)))
            setattr(cls, name, self._watched(getattr(cls, name)))
        return self

    def __exit__(self, *_error: object) -> None:
        for cls, name, original in self._saved:
            if original is None:
                delattr(cls, name)
            else:
                setattr(cls, name, original)

    def _watched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(loader: Any, subject: Any) -> Any:
            name = getattr(subject, "name", None) or subject.__name__
            if self._refuse:
                self._refuse(name, getattr(loader, "path", "") or "")
            before = snapshot()
            nested = len(self._blamed)
            self._stack.append(name)
            try:
                return original(loader, subject)
            finally:
                self._stack.pop()
                # What a nested import left open was blamed on that one already.
                if len(self._blamed) == nested and _grew(before, snapshot()):
                    self._blamed.add(name)
                    self.culprits.update([name, *self._stack])

        return watched


def _grew(before: Snapshot, after: Snapshot) -> bool:
    return bool(after[0] - before[0]) or bool(after[1] - before[1])


def third_party() -> List[str]:
    """The modules of this process that are not the application's, in the order in which they were met."""
    return [name for name, module in list(sys.modules.items()) if _can_be_shared(name, module)]


def _can_be_shared(name: str, module: Any) -> bool:
    spec = sources.attribute(module, "__spec__")
    # A module under another name (`os.path`), or put there by hand, is met again through its own.
    if name == "__main__" or spec is None or spec.name != name or name.startswith("devstack_reloader"):
        return False
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    return not any(place and sources.is_app_file(place) for place in places)


def load(names: List[str], left_out: Set[str]) -> List[str]:
    """Imports them into this process; returns what it may not hold, after which this process must not be used."""

    def refuse(name: str, path: str) -> None:
        if name in left_out or sources.is_app_file(path):
            raise Tainted(name)

    tainted: List[str] = []
    with ImportWatch(refuse) as watch:
        for name in names:
            if name in sys.modules or name in left_out:
                continue
            try:
                importlib.import_module(name)
            except Tainted:
                tainted.append(name)
            except Exception:  # noqa: BLE001 - an import that fails by itself is the workers' to repeat
                sys.modules.pop(name, None)
            if tainted or watch.culprits:
                return [*tainted, *watch.culprits]
    return []
