#!/bin/sh
# Fills environment variables into /etc/nginx/templates/NAME.conf.template -> /etc/nginx/conf.d/NAME.conf.
set -eu

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
filter=${NGINX_ENVSUBST_FILTER:-}

[ -d "$templates" ] || exit 0

# Only variables that are set are filled in: nginx's own ($host, $uri) stay as they are.
names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p' | grep -e "$filter" | sed 's/.*/${&}/' | tr '\n' ' ')

find "$templates" -follow -type f -name "*$suffix" | sort | while IFS= read -r template; do
  relative=${template#"$templates/"}
  target=$output/${relative%"$suffix"}
  if [ ! -w "$output" ]; then
    echo "nginx: $output is not writable; $relative stays unfilled" >&2
    exit 0
  fi
  mkdir -p "$(dirname "$target")"
  envsubst "$names" <"$template" >"$target"
done
