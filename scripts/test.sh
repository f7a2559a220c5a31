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

asks_for_cluster() {
  case ,${DEVSTACK_ENGINES:-}, in *,kind,*) ;; *) return 1 ;; esac
}

bring() {
  prepare $yes
  test_packages
  if asks_for_cluster; then "$root/devstack" --engine kind bootstrap $yes; else "$root/devstack" bootstrap $yes; fi
}

now() { date +%s; }
times=
failed=0

# took SECONDS CODE NAME: for the list at the end. Whoever is told to stop stops all of it.
took() {
  if [ "$2" -eq 0 ]; then end=; else end=', failed' failed=1; fi
  times="$times
$(printf '%6d s  %s%s' "$1" "$3" "$end")"
  [ "$2" -lt 128 ] || exit "$2"
}

# stage NAME COMMAND...: a failure keeps none of the others from being run.
stage() {
  name=$1
  shift
  printf '\n== %s\n' "$name"
  begin=$(now) code=0
  "$@" || code=$?
  took $(($(now) - begin)) "$code" "$name"
}

vitest=$root/node_modules/vitest/vitest.mjs
node_image=test/engines/kind/node-image

everything() {
  stage 'unit tests' "$node" "$vitest" run --project unit
  stage 'engine tests: Compose' "$node" "$vitest" run --project engine
  # The image of the cluster's nodes takes seven minutes of the whole machine where neither it nor its file in the cache is there:
  # beside it, tests that have a time to keep do not keep it.
  stage 'node image and its tests' "$node" "$vitest" run --project kind "$node_image"
  stage 'engine tests: kind' "$node" "$vitest" run --project kind --exclude "$node_image/**"
}

cd -- "$root"
if [ $# -gt 0 ]; then
  prepare $yes
  PATH=$root/node_modules/.bin:$PATH
  exec "$node" "$vitest" run "$@"
fi
begin=$(now)
bring
took $(($(now) - begin)) 0 'packages, engine, dependencies, build'
PATH=$root/node_modules/.bin:$PATH
everything
printf '\nStages:%s\n' "$times"
exit "$failed"
