#!/bin/bash
# Prepares PGDATA on a first start, then hands over to the command.
# The environment variables and the folder /docker-entrypoint-initdb.d are those of the upstream image.
set -euo pipefail

template=/var/lib/postgresql/template
init_folder=/docker-entrypoint-initdb.d

fail() {
  printf 'postgres: %s\n' "$@" >&2
  exit 1
}

# NAME, or the content of the file that NAME_FILE points to.
setting() {
  local name=$1 fallback=${2-} file_name="$1_FILE"
  if [ -n "${!name-}" ] && [ -n "${!file_name-}" ]; then
    fail "$name and $file_name are both set; set one of them"
  fi
  if [ -n "${!file_name-}" ]; then
    printf '%s' "$(<"${!file_name}")"
  else
    printf '%s' "${!name-$fallback}"
  fi
}

is_server() {
  [ "$1" = postgres ] || return 1
  local word
  for word in "${@:2}"; do
    case $word in -\? | --help | --describe-config | -V | --version | -C) return 1 ;; esac
  done
}

quote_name() { printf '"%s"' "${1//\"/\"\"}"; }
quote_text() { printf "'%s'" "${1//\'/\'\'}"; }

# initdb and psql look up the name of who runs them, which an id from `user:` may not have.
name_this_user() {
  if ! getent passwd "$(id -u)" >/dev/null && [ -z "${LD_PRELOAD-}" ]; then
    NSS_WRAPPER_PASSWD=$(mktemp)
    NSS_WRAPPER_GROUP=$(mktemp)
    printf 'postgres:x:%s:%s::%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" >"$NSS_WRAPPER_PASSWD"
    printf 'postgres:x:%s:\n' "$(id -g)" >"$NSS_WRAPPER_GROUP"
    LD_PRELOAD=$(find /usr/lib -name libnss_wrapper.so -print -quit)
    export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  fi
}

forget_this_user() {
  if [ -n "${NSS_WRAPPER_PASSWD-}" ]; then
    rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  fi
}

template_fits() {
  [ -z "${POSTGRES_INITDB_ARGS-}" ] && [ -z "${POSTGRES_INITDB_WALDIR-}" ] && [ "${LANG-}" = en_US.utf8 ] &&
    [ -z "$(env | sed -n 's/^LC_[A-Z]*=//p')" ] && [ -z "$(env | sed -n 's/^PGCLIENTENCODING=//p')" ] &&
    case ${TZ-} in '' | UTC | Etc/UTC) true ;; *) false ;; esac
}

check_password() {
  if [ -z "$password" ] && [ "$auth_method" != trust ]; then
    fail 'the database is new and no superuser password was given' \
      'set POSTGRES_PASSWORD to a password, for example: docker run -e POSTGRES_PASSWORD=... postgres' \
      'or set POSTGRES_HOST_AUTH_METHOD=trust to let everybody in who reaches the port'
  fi
  if [ "$auth_method" = trust ]; then
    echo 'postgres: POSTGRES_HOST_AUTH_METHOD=trust lets everybody in who reaches the port' >&2
  fi
}

copy_template() {
  cp --recursive "$template/." "$PGDATA"
  find "$PGDATA" -mindepth 1 -type d -exec chmod 700 {} +
  find "$PGDATA" -type f -exec chmod 600 {} +
}

run_initdb() {
  local -a options=(--pgdata="$PGDATA" --username="$user")
  if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then options+=(--waldir="$POSTGRES_INITDB_WALDIR"); fi
  # The arguments are a shell command line, as upstream reads them.
  local -a more=()
  eval "more=(${POSTGRES_INITDB_ARGS-})"
  options+=(${more[@]+"${more[@]}"})
  if [ -n "$password" ]; then
    initdb "${options[@]}" --pwfile=<(printf '%s\n' "$password")
  else
    initdb "${options[@]}"
  fi
}

# One line is one statement for a single-user server: no port, no second start.
name_the_superuser() {
  local -a statements=()
  if [ "$user" != postgres ]; then
    statements+=("UPDATE pg_catalog.pg_authid SET rolname = $(quote_text "$user") WHERE oid = 10;")
  fi
  if [ -n "$password" ]; then
    statements+=("ALTER ROLE $(quote_name "$user") PASSWORD $(quote_text "$password");")
  fi
  if [ "$database" != postgres ]; then
    statements+=("CREATE DATABASE $(quote_name "$database");")
  fi
  # A line end inside a name or a password would end the statement: such ones go the long way, see main.
  if [ ${#statements[@]} -gt 0 ]; then
    printf '%s\n' "${statements[@]}" |
      postgres --single -D "$PGDATA" -c allow_system_table_mods=on -c log_min_messages=fatal \
        -c log_min_error_statement=panic -c log_checkpoints=off postgres >/dev/null
  fi
}

allow_connections() {
  local method=$auth_method
  if [ -z "$method" ]; then method=$(postgres -D "$PGDATA" -C password_encryption); fi
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# For scripts: psql as the superuser, on the socket, in the database that was asked for.
docker_process_sql() {
  local -a options=(-v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc)
  if [ -n "$POSTGRES_DB" ]; then options+=(--dbname "$POSTGRES_DB"); fi
  PGHOST='' PGHOSTADDR='' psql "${options[@]}" "$@"
}

run_init_file() {
  local file=$1
  case $file in
    *.sh)
      echo "postgres: running $file"
      if [ -x "$file" ]; then "$file"; else
        # shellcheck source=/dev/null
        . "$file"
      fi
      ;;
    *.sql) echo "postgres: running $file" && docker_process_sql -f "$file" ;;
    *.sql.gz) echo "postgres: running $file" && gunzip -c "$file" | docker_process_sql ;;
    *.sql.xz) echo "postgres: running $file" && xz -dc "$file" | docker_process_sql ;;
    *.sql.zst) echo "postgres: running $file" && zstd -dc "$file" | docker_process_sql ;;
    *) echo "postgres: ignoring $file" ;;
  esac
}

run_init_files() {
  local file
  for file in "$init_folder"/*; do run_init_file "$file"; done
}

has_init_files() {
  [ -n "$(find -L "$init_folder" -mindepth 1 -maxdepth 1 -print -quit)" ]
}

with_temporary_server() {
  NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -w start -o "-c listen_addresses='' -p ${PGPORT:-5432}" >/dev/null
  "$@"
  pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
}

create_database() {
  if [ "$database" != postgres ]; then
    POSTGRES_DB='' docker_process_sql --dbname postgres --set database="$database" <<<'CREATE DATABASE :"database";'
  fi
}

prepare_data() {
  user=$(setting POSTGRES_USER postgres)
  user=${user:-postgres}
  password=$(setting POSTGRES_PASSWORD)
  database=$(setting POSTGRES_DB "$user")
  database=${database:-$user}
  auth_method=${POSTGRES_HOST_AUTH_METHOD-}
  export POSTGRES_USER=$user POSTGRES_DB=$database POSTGRES_PASSWORD=$password PGPASSWORD=${PGPASSWORD-$password}
  check_password

  if template_fits && [ "$user$password$database" = "${user//$'\n'/}${password//$'\n'/}${database//$'\n'/}" ]; then
    copy_template
    name_the_superuser
    allow_connections
    if has_init_files; then with_temporary_server run_init_files; fi
  else
    run_initdb
    allow_connections
    with_temporary_server eval 'create_database && run_init_files'
  fi
  unset PGPASSWORD
  echo 'postgres: a new data folder is ready'
}

own_folders() {
  mkdir -p "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA" 2>/dev/null || true
  chmod 3775 /run/postgresql 2>/dev/null || true
  if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then mkdir -p "$POSTGRES_INITDB_WALDIR"; fi
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" ! -user postgres -exec chown postgres {} +
    find /run/postgresql ! -user postgres -exec chown postgres {} +
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
      find "$POSTGRES_INITDB_WALDIR" ! -user postgres -exec chown postgres {} +
    fi
  fi
}

main() {
  if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
  if is_server "$@"; then
    own_folders
    if [ "$(id -u)" = 0 ]; then
      exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
      name_this_user
      prepare_data
      forget_this_user
    fi
  fi
  exec "$@"
}

main "$@"
