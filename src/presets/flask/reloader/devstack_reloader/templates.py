"""What a worker knows of its templates and static files, and how templates are read anew."""

import gc
import os
import sys
from typing import Any, Dict, List, Set


def _instances(cls: Any) -> List[Any]:
    # By type(): isinstance() asks a proxy for its class, which makes it look for what it stands for, here and now.
    return [one for one in gc.get_objects() if issubclass(type(one), cls)]


def _flask_apps() -> List[Any]:
    flask = sys.modules.get("flask")
    return _instances(flask.Flask) if flask is not None else []


def folders() -> Dict[str, List[str]]:
    """Where the Flask applications of this process have their templates and static files."""
    templates: Set[str] = set()
    static: Set[str] = set()
    for app in _flask_apps():
        for owner in [app, *getattr(app, "blueprints", {}).values()]:
            loader = getattr(owner, "jinja_loader", None)
            templates.update(os.path.abspath(path) for path in getattr(loader, "searchpath", []) or [])
            if getattr(owner, "static_folder", None):
                static.add(os.path.abspath(owner.static_folder))
    return {"templates": sorted(templates), "static": sorted(static)}


def forget() -> int:
    """Empties the caches of all Jinja environments, and lets them look at the files again; returns how many."""
    jinja2 = sys.modules.get("jinja2")
    environments = _instances(jinja2.Environment) if jinja2 is not None else []
    for environment in environments:
        environment.auto_reload = True
        cache = getattr(environment, "cache", None)
        if cache is not None:
            cache.clear()
    return len(environments)
