"""uWSGI's options: which are other names, which have no value, and which change nothing that is served."""

import re

# These change nothing that a developer would miss: supervision, limits and logs of production's processes.
NO_EFFECT = set(
    """
    add-header-date auto-procname auto-snapshot backtrace-depth buffer-size-warning catch-exceptions cheap cheaper
    cheaper-algo cheaper-initial cheaper-overload cheaper-rss-limit-hard cheaper-rss-limit-soft cheaper-step die-on-term
    disable-logging disable-sendfile disable-write-exception enable-threads evil-reload-on-as evil-reload-on-rss
    exit-on-reload fs-brutal-reload fs-reload harakiri harakiri-verbose hook-as-user honour-stdin http-keepalive
    http-timeout http-auto-chunked http-connect-timeout http-processes idle ignore-sigpipe ignore-write-errors lazy
    lazy-apps limit-as listen-timeout locks log-4xx log-5xx log-big log-date log-format log-master log-maxsize
    log-micros log-prefix log-reopen log-slow log-sendfile log-x-forwarded-for log-zero logdate logformat
    log-master-bufsize logger-list master master-fifo max-fd max-requests max-requests-delta max-worker-lifetime
    max-worker-lifetime-delta memory-report min-worker-lifetime need-app no-defer-accept no-orphans offload-threads
    optimize post-buffering post-buffering-bufsize preload procname procname-append procname-prefix
    procname-prefix-spaced pidfile pidfile2 py-auto-reload py-autoreload py-tracebacker python-auto-reload
    python-autoreload quiet reaper reload-mercy reload-on-as reload-on-exception reload-on-rss safe-pidfile
    safe-pidfile2 shutdown-sockets single-interpreter so-keepalive so-rcvbuf so-send-timeout so-sndbuf so-write-timeout
    socket-timeout stats stats-http stats-server strict tcp-fast-open tcp-nodelay threads-stacksize thread-stacksize
    threads-stack-size thunder-lock touch-chain-reload touch-reload touch-workers-reload vacuum vhost-host
    worker-reload-mercy mule-reload-mercy socket-send-timeout socket-write-timeout http-buffer-size
    http-socket-timeout manage-script-name ignore-script-name log-encoder log-req-encoder req-logger
    disable-logging-on-start
    """.split()
)
# Worth a word to whoever looks for what they served.
NOTED = {"stats", "stats-server", "stats-http", "harakiri"}
PLUGINS = re.compile(r"^(?:.*/)?(?:python\d*|http|logfile|router_\w+|corerouter|rsyslog)(?:_plugin\.so)?$")
ALIASES = {
    "s": "socket",
    "uwsgi-socket": "socket",
    "w": "module",
    "wsgi": "module",
    "file": "wsgi-file",
    "H": "home",
    "virtualenv": "home",
    "venv": "home",
    "pyhome": "home",
    "pp": "pythonpath",
    "python-path": "pythonpath",
    "p": "processes",
    "workers": "processes",
    "b": "buffer-size",
    "l": "listen",
    "C": "chmod-socket",
    "chmod": "chmod-socket",
    "chown": "chown-socket",
    "M": "master",
    "T": "enable-threads",
    "i": "single-interpreter",
    "L": "disable-logging",
    "t": "harakiri",
    "R": "max-requests",
    "z": "socket-timeout",
    "plugin": "plugins",
    "need-plugin": "plugins",
    "need-plugins": "plugins",
    "h": "help",
}
WITHOUT_VALUE = NO_EFFECT - set(
    """
    cheaper cheaper-algo cheaper-initial cheaper-overload cheaper-rss-limit-hard cheaper-rss-limit-soft cheaper-step
    evil-reload-on-as evil-reload-on-rss fs-brutal-reload fs-reload harakiri hook-as-user http-keepalive http-timeout
    http-connect-timeout http-processes idle limit-as listen-timeout locks log-big log-format log-maxsize log-prefix
    log-slow logformat log-master-bufsize master-fifo max-fd max-requests max-requests-delta max-worker-lifetime
    max-worker-lifetime-delta min-worker-lifetime offload-threads optimize post-buffering post-buffering-bufsize
    preload procname procname-append procname-prefix procname-prefix-spaced pidfile pidfile2 py-auto-reload
    py-autoreload py-tracebacker python-auto-reload python-autoreload reload-mercy reload-on-as reload-on-exception
    reload-on-rss safe-pidfile safe-pidfile2 so-rcvbuf so-send-timeout so-sndbuf so-write-timeout socket-timeout stats
    stats-server threads-stacksize thread-stacksize threads-stack-size touch-chain-reload touch-reload
    touch-workers-reload worker-reload-mercy mule-reload-mercy tcp-fast-open backtrace-depth socket-send-timeout
    socket-write-timeout http-buffer-size http-socket-timeout log-encoder log-req-encoder req-logger
    """.split()
)
WITHOUT_VALUE |= {"enable-threads", "M", "T", "i", "L", "no-site", "py-call-osafterfork"}
