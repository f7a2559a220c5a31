"""What a saved file asks for."""

import os
from dataclasses import dataclass, field
from typing import Iterable, List, Set, Tuple

from .sources import PACKAGES, is_below

APP = "app"
TEMPLATES = "templates"
DEPENDENCIES = "dependencies"
NOTHING = "nothing"
RESTART = "restart"

# The weakest first; the empty one asks for nothing in particular.
_STRENGTH = ["", NOTHING, TEMPLATES, APP, DEPENDENCIES, RESTART]

_TEMPLATE_ENDS = (".html", ".htm", ".j2", ".jinja", ".jinja2")
_REMAINS = (".pyc", ".pyo", ".swp", ".swx", "~", ".orig")
# Folders whose modules the application does not import as it runs; whether one did is asked of the workers.
_BESIDE = {"tests", "test", "migrations", "alembic"}


@dataclass
class Known:
    """What the workers reported of themselves."""

    files: Set[str] = field(default_factory=set)
    templates: List[str] = field(default_factory=list)
    static: List[str] = field(default_factory=list)
    app_folders: List[str] = field(default_factory=list)
    config_files: List[str] = field(default_factory=list)


def classify(path: str, known: Known) -> str:
    """What one file asks for. Whatever is in doubt asks for the application to be loaded again."""
    parts = path.split("/")
    if path in known.config_files:
        return RESTART
    if "__pycache__" in parts or path.endswith(_REMAINS):
        return NOTHING
    in_app = any(is_below(path, folder) for folder in known.app_folders)
    if any(name in parts for name in PACKAGES) and not in_app:
        return DEPENDENCIES
    if path.endswith((".so", ".pyd")):
        return RESTART if path in known.files else APP
    if path in known.files or path.endswith(".py"):
        return APP
    if any(is_below(path, folder) for folder in known.templates):
        return TEMPLATES
    if path.endswith(_TEMPLATE_ENDS) and "templates" in parts:
        return TEMPLATES
    if any(is_below(path, folder) for folder in known.static):
        return NOTHING
    return APP


def beside(path: str) -> bool:
    """A module that the application probably does not use: a test or a migration."""
    name = os.path.basename(path)
    if not name.endswith(".py"):
        return False
    test = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    return test or not _BESIDE.isdisjoint(path.split("/")[:-1])


def decide(paths: Iterable[str], known: Known) -> Tuple[str, str]:
    """The strongest of what the files ask for, and the first file that asks for it."""
    strongest, because = NOTHING, ""
    for path in paths:
        what = classify(path, known)
        if stronger(what, strongest) != strongest:
            strongest, because = what, path
    return strongest, because


def stronger(one: str, other: str) -> str:
    """Of two things that were asked for, the one that includes the other."""
    return max(one, other, key=_STRENGTH.index)


def without_modules(folders: Iterable[str], modules: Iterable[str]) -> List[str]:
    """Those that hold no module of the application: beside one lies what may be read at its import."""
    return [folder for folder in folders if not any(is_below(path, folder) for path in modules)]


def reason(path: str, known: Known) -> str:
    """Why the container has to be started again."""
    if path in known.config_files:
        return f"the server's configuration changed: {path}"
    return f"a C extension of the app changed: {path}"
