#!/bin/sh
# Starts the command as the user redis; options alone, or a configuration file, are for redis-server.
set -eu

case ${1-} in
  -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

# Data files hold what may be private.
if [ "$(umask)" = 0022 ]; then umask 0077; fi

# Upstream builds its server open to the container's network; Debian's answers on loopback only.
# What the command line or the named configuration file says about it wins.
if [ "${1-}" = redis-server ]; then
  case " $* " in
    *' --protected-mode '* | *' --version '* | *' -v '* | *' --help '* | *' -h '* | *' --check-system '*) ;;
    *)
      case ${2-} in
        '') set -- "$@" --bind '* -::*' --protected-mode no ;;
        -*)
          shift
          set -- redis-server --bind '* -::*' --protected-mode no "$@"
          ;;
        *)
          if [ -r "$2" ] && ! grep -q '^[[:space:]]*protected-mode[[:space:]]' "$2"; then
            set -- "$@" --protected-mode no
          fi
          ;;
      esac
      ;;
  esac
fi

exec "$@"
