#!/bin/sh
# Options, and words that are no command, are for node.
set -eu

if [ -n "${1-}" ] && { [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null || { [ -f "$1" ] && ! [ -x "$1" ]; }; }; then
  set -- node "$@"
fi

exec "$@"
