#!/bin/sh
# `npm test`: brings what the tests need, then runs vitest with Node 24. Works on a clone where nothing was installed.
# Words are handed to vitest (npm test -- test/core): then nothing but the dependencies is brought. --yes is a yes to
# installing system packages, as CI=true is.
set -eu

root=$(CDPATH='' cd -P -- "$(dirname -- "$0")/.." && pwd -P)
. "$root/scripts/node.sh"
. "$root/scripts/prepare.sh"

yes=
count=$#
while [ "$count" -gt 0 ]; do
  case $1 in
    --yes) yes=--yes ;;
    *) set -- "$@" "$1" ;;
  esac
  shift
  count=$((count - 1))
done

# What the tests drive beside Node and the engine: a browser, Debian from nothing, a linter for the launcher.
test_packages() {
  lacks=
  command -v chromium >/dev/null || lacks="$lacks chromium"
  command -v mmdebstrap >/dev/null || lacks="$lacks mmdebstrap"
  command -v shellcheck >/dev/null || lacks="$lacks shellcheck"
  # Environments of the real Flask applications.
  python3 -c "import ensurepip" 2>/dev/null || lacks="$lacks python3-venv"
  [ -n "$lacks" ] || return 0
  if is_debian; then
    start_scratch
    # shellcheck disable=SC2086
    packages 'what its tests run' $lacks -- $yes
    finish
  else
    say "these tests' programs lack here:$lacks"
  fi
}

cd -- "$root"
prepare $yes
if [ $# -eq 0 ]; then
  test_packages
  "$root/devstack" bootstrap $yes
fi

PATH=$root/node_modules/.bin:$PATH
exec "$node" "$root/node_modules/vitest/vitest.mjs" run "$@"
