"""Finds the WSGI application in the worker, the way the original server does."""

import ast
import importlib
import importlib.util
import os
import re
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import sources
from .failure import LoadError
from .target import Target

ServeFromScript = Callable[[Any, Dict[str, Any]], None]


def prepare(target: Target) -> None:
    """Arguments and module path, as the application would find them."""
    sys.argv = list(target.argv)
    for entry in reversed(target.path):
        if entry not in sys.path:
            sys.path.insert(0, entry)


def installed_folder(app: str) -> str:
    """The folder of the package that an application's name begins with, if it is no plain source folder."""
    match = re.match(r"^(\w+)(?:[.:]\w|$)", app)
    if not match:
        return ""
    try:
        spec = importlib.util.find_spec(match[1])
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin or not spec.submodule_search_locations or sources.is_app_file(spec.origin):
        return ""
    return os.path.dirname(spec.origin)


def load(target: Target, serve: ServeFromScript) -> Optional[Any]:
    """The application; None when a script ran that served by itself."""
    if target.kind == "module":
        return _from_module(importlib.import_module(target.app), target.callable)
    if target.kind == "file":
        return _from_module(_run_file(target.app, _uwsgi_file_name(target.app)), target.callable)
    if target.kind == "flask":
        return _from_flask(target)
    _run_script(target.app, serve)
    raise LoadError(f"{target.app} ended without serving: it has to call app.run()")


def _uwsgi_file_name(path: str) -> str:
    return "uwsgi_file_" + path.replace(".", "_").replace("/", "_").replace("\\", "_")


def _run_file(path: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        exec(sources.code_of(path), module.__dict__)  # noqa: S102 - the application
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _from_module(module: types.ModuleType, expression: str) -> Any:
    """`application`, `app.wsgi`, `create_app()` or `create_app("dev", debug=True)`."""
    names, arguments = _parse(expression)
    found: Any = module
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise LoadError(f"{module.__name__} has no {expression!r}") from error
    if arguments is not None:
        found = found(*arguments[0], **arguments[1])
    if not callable(found):
        raise LoadError(f"{module.__name__}:{expression} cannot be called: it is no WSGI application")
    return found


def _parse(expression: str) -> Tuple[List[str], Optional[Tuple[List[Any], Dict[str, Any]]]]:
    try:
        node: Any = ast.parse(expression.strip(), mode="eval").body
        arguments = None
        if isinstance(node, ast.Call):
            arguments = (
                [ast.literal_eval(one) for one in node.args],
                {str(one.arg): ast.literal_eval(one.value) for one in node.keywords},
            )
            node = node.func
        names: List[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        return [node.id, *names], arguments
    except (SyntaxError, ValueError, AttributeError) as error:
        raise LoadError(f"not the name of an application: {expression!r}") from error


def _from_flask(target: Target) -> Any:
    """As `flask run` does it, with Flask's own rules for the name."""
    from flask import cli

    os.environ["FLASK_RUN_FROM_CLI"] = "true"
    cli.load_dotenv()
    name = target.app or os.environ.get("FLASK_APP", "")
    _import_first(name, cli)
    try:
        # Old releases of Flask take the name of the application by position only.
        return cli.ScriptInfo(name or None).load_app()
    except cli.NoAppException as error:
        raise LoadError(str(error)) from error


def _import_first(name: str, cli: Any) -> None:
    """Flask puts the text of an ImportError into an error of its own; here the error itself is wanted."""
    for path in [name.partition(":")[0]] if name else ["wsgi.py", "app.py"]:
        if name or os.path.isfile(path):
            importlib.import_module(cli.prepare_import(path))
            return


def _run_script(path: str, serve: ServeFromScript) -> None:
    """Runs a script as `__main__`; the call that would serve for ever is where this worker begins to serve."""
    with open(path, "rb") as file:
        _intercept(serve, b"waitress" in file.read())
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    exec(sources.code_of(path), module.__dict__)  # noqa: S102 - the application


def _intercept(serve: ServeFromScript, waitress_too: bool) -> None:
    serving: Any = importlib.import_module("werkzeug.serving")

    def run_simple(hostname: str, port: int, application: Any, **options: Any) -> None:
        serve(application, {"host": hostname, "port": port, **options})

    serving.run_simple = run_simple
    if waitress_too:
        _intercept_waitress(serve)


def _intercept_waitress(serve: ServeFromScript) -> None:
    try:
        waitress: Any = importlib.import_module("waitress")
    except ImportError:
        return

    def run(application: Any, **options: Any) -> None:
        host, _, port = str(options.get("listen", "")).rpartition(":")
        serve(
            application,
            {
                "host": options.get("host", host or "0.0.0.0"),
                "port": int(options.get("port", port or 8080)),
                "threads": int(options.get("threads", 4)),
            },
        )

    waitress.serve = run
