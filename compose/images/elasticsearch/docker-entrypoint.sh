#!/bin/bash
# Starts the Elasticsearch server without its launcher, which is a JVM of its own that only prepares the start.
# Settings come from the environment as in the upstream image: discovery.type=single-node, or
# ES_SETTING_DISCOVERY_TYPE=single-node; NAME_FILE is read for ELASTIC_PASSWORD and such, which this build has no use for.
set -euo pipefail

home=/usr/share/elasticsearch
declare -A settings=()

fail() {
  printf 'elasticsearch: %s\n' "$@" >&2
  exit 1
}

# ES_SETTING_ names: one underscore is a dot, two are an underscore.
setting_name() {
  local name=${1#ES_SETTING_}
  name=${name//__/$'\001'}
  name=${name//_/.}
  name=${name//$'\001'/_}
  printf '%s' "${name,,}"
}

read_settings() {
  local entry name
  while IFS= read -r -d '' entry; do
    name=${entry%%=*}
    if [[ $name == ES_SETTING_* ]]; then
      settings[$(setting_name "$name")]=${entry#*=}
    elif [[ $name =~ ^[a-z0-9_]+\.[a-z0-9_.]+$ && -n ${entry#*=} ]]; then
      settings[$name]=${entry#*=}
    fi
  done </proc/self/environ
}

# -Ename=value, as the server's own command takes it.
read_words() {
  while [ $# -gt 0 ]; do
    case $1 in
      eswrapper | elasticsearch | bin/elasticsearch | */bin/elasticsearch) ;;
      -E) shift && settings[${1%%=*}]=${1#*=} ;;
      -E*) settings[$(local word=${1#-E} && printf '%s' "${word%%=*}")]=${1#*=} ;;
      -q | --quiet | -s | --silent | -v | --verbose) ;;
      -V | --version) exec cat "$home/launch/version" ;;
      *) fail "this build does not know the option $1" 'settings are given as -Ename=value' ;;
    esac
    shift
  done
}

# What this build leaves out may be switched off by name, as compose files for the whole one do.
leave_out_absent_features() {
  local name
  for name in "${!settings[@]}"; do
    case $name in
      xpack.security.enabled | xpack.security.*.enabled | xpack.*.enabled | ingest.geoip.downloader.enabled)
        if [ "${settings[$name]}" != false ] && [ "$name" = xpack.security.enabled ]; then
          fail 'xpack.security.enabled is asked for, and this is the reduced build, without security' \
            'set xpack.security.enabled=false, or use the upstream image'
        fi
        unset "settings[$name]"
        ;;
    esac
  done
}

write_number() {
  local number=$1 octal
  while [ "$number" -gt 127 ]; do
    printf -v octal '%03o' $(((number & 127) | 128))
    printf '%b' "\\0$octal"
    number=$((number >> 7))
  done
  printf -v octal '%03o' "$number"
  printf '%b' "\\0$octal"
}

write_text() {
  write_number ${#1}
  printf '%s' "$1"
}

# The message the launcher would send; see tools/WriteServerArgs.java.
write_message() {
  local name
  settings[node.name]=${settings[node.name]:-$HOSTNAME}
  cat "$home/launch/head"
  write_number ${#settings[@]}
  for name in "${!settings[@]}"; do
    write_text "$name"
    printf '\000'
    write_text "${settings[$name]}"
  done
  cat "$home/launch/tail"
}

# Plain `name: value` lines are read here; anything else needs the server's own reader.
read_config_file() {
  local line file=$home/config/elasticsearch.yml
  local plain='^([a-zA-Z][a-zA-Z0-9_.-]*):[ ]+([a-zA-Z0-9_./:-]+|"[a-zA-Z0-9_./: -]*")[ ]*$'
  [ -r "$file" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line =~ ^[[:space:]]*(#.*|---[[:space:]]*)?$ ]]; then continue; fi
    if [[ ! $line =~ $plain ]]; then return 1; fi
    local name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    # What the environment says comes first.
    if [ -z "${settings[$name]+set}" ]; then
      value=${value#\"}
      settings[$name]=${value%\"}
    fi
  done <"$file"
}

all_ascii() {
  local name
  for name in "${!settings[@]}"; do
    if [[ $name${settings[$name]} == *[!\ -~]* ]]; then return 1; fi
  done
}

write_whole_message() {
  local name
  for name in "${!settings[@]}"; do printf '%s=%s\0' "$name" "${settings[$name]}"; done |
    LC_ALL=C.UTF-8 "$home/jdk/bin/java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx64m \
      -cp "$home/launch:$home/lib/*" WriteServerArgs whole "$home"
}

# One option a line; `21-:` and the like are for other Java versions.
read_jvm_options() {
  local file line
  for file in "$home/config/jvm.options" "$home"/config/jvm.options.d/*.options; do
    [ -r "$file" ] || continue
    while IFS= read -r line || [ -n "$line" ]; do
      # shellcheck disable=SC2016 # the file names the variable literally
      if [[ $line == -* ]]; then jvm_options+=("${line//'${ES_TMPDIR}'/$ES_TMPDIR}"); fi
    done <"$file"
  done
  local -a own=()
  read -r -a own <<<"${ES_JAVA_OPTS-}"
  jvm_options+=(${own[@]+"${own[@]}"})
  keep_last_collector
}

# Java refuses to choose between two garbage collectors: the one that was named last wins.
keep_last_collector() {
  local option last=''
  local -a kept=()
  for option in "${jvm_options[@]}"; do
    if [[ $option == -XX:+Use*GC ]]; then last=$option; else kept+=("$option"); fi
  done
  jvm_options=("${kept[@]}")
  if [ -n "$last" ]; then jvm_options+=("$last"); fi
}

become_elasticsearch() {
  if [ "$(id -u)" = 0 ]; then
    if [ -n "${TAKE_FILE_OWNERSHIP-}" ]; then chown -R 1000:0 "$home/data" "$home/logs"; fi
    exec setpriv --reuid=1000 --regid=0 --clear-groups "${BASH_SOURCE[0]}" "$@"
  fi
}

main() {
  case ${1-} in
    '' | eswrapper | elasticsearch | bin/elasticsearch | */bin/elasticsearch | -E* | -V | --version) ;;
    *) exec "$@" ;;
  esac
  become_elasticsearch "$@"
  export LC_ALL=C
  read_settings
  read_words "$@"
  settings[path.home]=$home
  writer=write_message
  read_config_file || writer=write_whole_message
  all_ascii || writer=write_whole_message
  leave_out_absent_features

  export ES_TMPDIR=${ES_TMPDIR:-/tmp/elasticsearch}
  export LIBFFI_TMPDIR=$ES_TMPDIR
  mkdir -p "$ES_TMPDIR"
  jvm_options=()
  read_jvm_options
  cd "$home"
  # Made when the image was built; without it, or where it does not fit, Java loads the classes one by one.
  if [ -s launch/classes.jsa ]; then jvm_options+=(-XX:SharedArchiveFile="$home/launch/classes.jsa" -Xlog:cds=off -Xlog:aot=off); fi

  # The server reads its start message and then watches for the end of this pipe: `sleep` keeps it open for good.
  exec "$home/jdk/bin/java" \
    -Des.networkaddress.cache.ttl=60 -Des.networkaddress.cache.negative.ttl=10 \
    -Xss1m -Djava.awt.headless=true -Dfile.encoding=UTF-8 -Djna.nosys=true \
    -XX:-OmitStackTraceInFastThrow -Dio.netty.noUnsafe=true -Dio.netty.noKeySetOptimization=true \
    -Dio.netty.recycler.maxCapacityPerThread=0 -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true \
    -Dlog4j2.formatMsgNoLookups=true -Djava.locale.providers=CLDR \
    -Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1 \
    -Des.path.home="$home" -Des.distribution.type=docker -Des.java.type='bundled JDK' -Des.cgroups.hierarchy.override=/ \
    -Djava.io.tmpdir="$ES_TMPDIR" -XX:+ExitOnOutOfMemoryError \
    --enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core --illegal-native-access=deny \
    --add-exports=java.base/org.elasticsearch.entitlement.bridge=org.elasticsearch.entitlement,java.logging,java.net.http,java.naming,jdk.net,jdk.zipfs,jdk.management.agent \
    -XX:+EnableDynamicAgentLoading -Djdk.attach.allowAttachSelf=true \
    "${jvm_options[@]}" \
    --module-path lib --add-modules=jdk.net --add-modules=jdk.management.agent --add-modules=ALL-MODULE-PATH \
    -m org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch \
    < <("$writer" && exec sleep infinity)
}

main "$@"
