#!/bin/sh
# Runs what is in /docker-entrypoint.d, in the order of the names, then hands over to the command.
set -eu

say() {
  if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS-}" ]; then echo "nginx: $*"; fi
}

case ${1-} in
  nginx | nginx-debug)
    for script in /docker-entrypoint.d/*; do
      case $script in
        *.envsh)
          if [ -x "$script" ]; then
            say "reading $script"
            # shellcheck source=/dev/null
            . "$script"
          else
            say "ignoring $script: it is not executable"
          fi
          ;;
        *.sh)
          if [ -x "$script" ]; then
            say "running $script"
            "$script"
          else
            say "ignoring $script: it is not executable"
          fi
          ;;
        *) say "ignoring $script" ;;
      esac
    done
    ;;
esac

exec "$@"
