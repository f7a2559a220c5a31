"""What is said of an application that does not load."""

import importlib
import os
import sys
import traceback
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Optional, Set

from . import sources

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))
_IMPORT_MODULE = importlib.__file__
_LONGEST_TRACEBACK = 200


class LoadError(Exception):
    """The application's command does not lead to an application; the message says why."""


def describe(error: BaseException) -> Dict[str, Any]:
    """Message, place and traceback; the place is the application's own line where there is one."""
    where = _syntax_place(error) or _last_own(_frames(error.__traceback__))
    lines = [line for one in reversed(_printed_chain(error)) for line in one]
    text = "".join(lines).rstrip("\n").split("\n")
    if len(text) > _LONGEST_TRACEBACK:
        text = [*text[: _LONGEST_TRACEBACK // 2], "  ...", *text[-_LONGEST_TRACEBACK // 2 :]]
    summary = traceback.format_exception_only(type(error), error)[-1].strip()
    if isinstance(error, SyntaxError):
        summary = f"{type(error).__name__}: {error.msg}"
    return {"message": summary, **where, "traceback": text}


def _printed_chain(error: BaseException) -> List[List[str]]:
    """The newest first. Without the frames of this program and of Python's import, which say nothing of the application."""
    printed: List[List[str]] = []
    one: Optional[BaseException] = error
    seen: Set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        frames = _frames(one.__traceback__)
        head = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
        printed.append([*head, *traceback.format_exception_only(type(one), one)])
        cause, context = one.__cause__, one.__context__
        if cause is not None:
            one = cause
            printed.append(["\nThe above exception was the direct cause of the following exception:\n\n"])
        elif context is not None and not one.__suppress_context__:
            one = context
            printed.append(["\nDuring handling of the above exception, another exception occurred:\n\n"])
        else:
            one = None
    return printed


def _syntax_place(error: BaseException) -> Optional[Dict[str, Any]]:
    if not isinstance(error, SyntaxError) or not error.filename:
        return None
    return {"file": error.filename, "line": error.lineno, "column": error.offset}


def _frames(trace: Optional[TracebackType]) -> List[Any]:
    return [frame for frame in traceback.extract_tb(trace) if not _is_machinery(frame.filename)]


def _is_machinery(name: str) -> bool:
    return name.startswith("<frozen importlib") or name == _IMPORT_MODULE or sources.is_below(name, _OWN_FOLDER)


def _last_own(frames: List[Any]) -> Dict[str, Any]:
    own = [frame for frame in frames if os.path.isabs(frame.filename) and sources.is_app_file(frame.filename)]
    last = (own or frames or [None])[-1]
    if last is None:
        return {"file": None, "line": None, "column": None}
    return {"file": last.filename, "line": last.lineno, "column": None}


def chain(error: Optional[BaseException]) -> List[BaseException]:
    """The error and what it came from."""
    found: List[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def wants_uwsgi(error: BaseException) -> Optional[str]:
    """Where the application imports uWSGI's own module, if that is why it does not load."""
    for one in chain(error):
        if isinstance(one, ModuleNotFoundError) and one.name in ("uwsgi", "uwsgidecorators"):
            place = _last_own(_frames(one.__traceback__))
            name = os.path.relpath(place["file"]) if place["file"] else "a module"
            return f"the app imports {one.name} ({name}:{place['line']})"
    return None


def address_in_use(error: BaseException) -> bool:
    """Whether it does not load because the workers before it hold a port that it wants."""
    return any("address already in use" in str(one).lower() for one in chain(error))


def page(error: Dict[str, Any]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that answers everything with why the real one could not start."""
    text = "The application does not start. It is loaded again at the next save.\n\n" + "\n".join(error["traceback"])
    body = text.encode("utf-8", "replace") + b"\n"

    def answer(environ: Dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        start_response("500 Internal Server Error", headers)
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return answer


def report(error: Dict[str, Any]) -> None:
    """Into the container's log, where the original server would have printed it."""
    print("\n".join(error["traceback"]), file=sys.stderr, flush=True)
