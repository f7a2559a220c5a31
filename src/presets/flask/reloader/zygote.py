"""Starts the zygote; see devstack_reloader/zygote.py."""

import os
import sys

if __name__ == "__main__":
    folder = os.path.dirname(os.path.abspath(__file__))
    # Python puts the script's folder first, which is no part of the application's module path.
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    sys.path.insert(0, folder)
    from devstack_reloader import zygote

    sys.path.remove(folder)
    zygote.main()
