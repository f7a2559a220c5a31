"""A server for Flask in development that answers with new code some milliseconds after a save.

Three kinds of process. The *supervisor* (supervisor.py) holds the listening sockets and the control socket and imports
nothing of the application. The *zygote* (zygote.py) holds the third-party modules and forks. The *workers* (worker.py)
import the application's own modules, always from their sources, and serve. A reload forks new workers, lets the old ones
stop accepting, then lets the new ones begin: connections wait in the backlog in between, so none is refused or lost.
"""
