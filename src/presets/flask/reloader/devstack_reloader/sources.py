"""Which files are the application's own, and how their code is loaded: from the source, always.

Python judges bytecode by the source's size and its time in whole seconds, so of two quick saves of one length the first
would run. Here code is judged by its bytes: the zygote keeps what it compiled, a worker takes it where the source is
still the same to the byte, and compiles it where it is not.
"""

import os
import sys
import sysconfig
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any, Dict, List, Optional, Tuple

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Folders that pip installs into.
PACKAGES = ("site-packages", "dist-packages")

_code: Dict[str, Tuple[bytes, CodeType]] = {}
_known: Dict[str, bool] = {}
_app_folders: List[str] = []
_original_get_code = SourceFileLoader.get_code


def _library_folders() -> List[str]:
    paths = sysconfig.get_paths()
    found = {paths["stdlib"], paths["platstdlib"], _OWN_FOLDER, os.path.dirname(os.__file__)}
    return sorted({folder for one in found for folder in (one, os.path.realpath(one))})


_LIBRARY = _library_folders()


def add_app_folder(folder: str) -> None:
    """A package that is installed among the third-party ones and yet is the application."""
    if folder not in _app_folders:
        _app_folders.append(folder)
        _known.clear()


def app_folders() -> List[str]:
    return list(_app_folders)


def is_app_file(path: str) -> bool:
    """Whether a file belongs to the application, and not to Python or to an installed package."""
    known = _known.get(path)
    if known is None:
        known = _known[path] = _is_app_file(os.path.abspath(path))
    return known


def _is_app_file(path: str) -> bool:
    if any(is_below(path, folder) for folder in _app_folders):
        return True
    parts = path.split(os.sep)
    if any(name in parts for name in PACKAGES) or any(part.endswith((".zip", ".egg")) for part in parts):
        return False
    return not any(is_below(path, folder) for folder in _LIBRARY)


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def use_sources() -> None:
    """Makes this process, and those forked from it, load the application's code by its bytes."""
    SourceFileLoader.get_code = _get_code  # type: ignore[method-assign,assignment]


def _get_code(self: SourceFileLoader, fullname: str) -> Optional[CodeType]:
    path = self.get_filename(fullname)
    if not is_app_file(path):
        return _original_get_code(self, fullname)
    return code_of(path, self)


def code_of(path: str, loader: Optional[SourceFileLoader] = None) -> CodeType:
    """The code of a source file as it is now."""
    with open(path, "rb") as file:
        source = file.read()
    kept = _code.get(path)
    if kept is not None and kept[0] == source:
        return kept[1]
    if loader is not None:
        return loader.source_to_code(source, path)
    return compile(source, path, "exec", dont_inherit=True)


def keep_code(paths: List[str]) -> None:
    """Compiles ahead, in the zygote, what the next worker will want; what does not compile is left to the worker."""
    import warnings

    for path in paths:
        try:
            with open(path, "rb") as file:
                source = file.read()
            kept = _code.get(path)
            if kept is None or kept[0] != source:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _code[path] = (source, compile(source, path, "exec", dont_inherit=True))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            _code.pop(path, None)


def forget_listings() -> None:
    """What Python remembers of the names in the application's folders may be of before the save."""
    for folder in list(sys.path_importer_cache):
        if is_app_file(os.path.join(folder or os.getcwd(), "x.py")):
            del sys.path_importer_cache[folder]


def attribute(module: Any, name: str) -> Any:
    """An attribute as it stands: to ask a lazy module for one would make it import, beside a request that may too."""
    try:
        return object.__getattribute__(module, "__dict__").get(name)
    except AttributeError:
        return None


def app_modules() -> Dict[str, str]:
    """The application's modules in this process: name and file."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = attribute(module, "__file__")
        if isinstance(file, str) and is_app_file(file):
            found[name] = os.path.abspath(file)
    return found
