"""What a worker knows of its templates and static files, and how templates are read anew."""

import gc
import os
import sys
from typing import Any, Dict, List, Set


# What was found before the collector was told to leave everything alone: then it does not list it any more.
_remembered: List[Any] = []


def remember() -> None:
    """Keeps hold of the applications and Jinja environments that there are."""
    _remembered[:] = _flask_apps() + _environments()


def _instances(cls: Any) -> List[Any]:
    # By type(): isinstance() asks a proxy for its class, which makes it look for what it stands for, here and now.
    found = [one for one in [*_remembered, *gc.get_objects()] if issubclass(type(one), cls)]
    return list({id(one): one for one in found}.values())


def _flask_apps() -> List[Any]:
    flask = sys.modules.get("flask")
    return _instances(flask.Flask) if flask is not None else []


def _environments() -> List[Any]:
    jinja2 = sys.modules.get("jinja2")
    if jinja2 is None:
        return []
    # An application makes its environment with its first template, which may be at the very moment of looking.
    own = [vars(app)["jinja_env"] for app in _flask_apps() if "jinja_env" in vars(app)]
    return list({id(one): one for one in [*_instances(jinja2.Environment), *own]}.values())


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
    environments = _environments()
    for environment in environments:
        environment.auto_reload = True
        cache = getattr(environment, "cache", None)
        if cache is not None:
            cache.clear()
    return len(environments)
