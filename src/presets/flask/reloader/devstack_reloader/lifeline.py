"""No process of ours outlives the one that started it."""

import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> bool:
    """Asks the kernel to kill this process when its parent ends; False where that cannot be had.

    The end of the channel to the supervisor ends every process too; this is for one that is stuck and does not look.
    """
    try:
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        done = bool(library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False
    # The parent may have ended before the kernel was asked.
    if os.getppid() != parent:
        os._exit(1)
    return done
