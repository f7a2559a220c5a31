"""Wraps the command of a container that serves a Flask application.

    python3 -B run.py [--app MODULE:NAME] -- uwsgi --ini /app/uwsgi.ini

Serves what the command would have served, and loads it anew when it is told to (see devstack_reloader). Where the command
does something that only the original server can do, says so in one line and runs the command as it is.
"""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from devstack_reloader import start

    start.main(sys.argv[1:])
