#!/bin/sh
# Adds those certificates of a bundle to the system's trust that it does not hold yet.
set -eu

bundle=$1
folder=/usr/local/share/ca-certificates/host
system=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$folder"

# The text between the markers, without line ends, tells two certificates apart.
awk -v folder="$folder" '
  /-----BEGIN CERTIFICATE-----/ { inside = 1; text = $0 "\n"; body = ""; next }
  inside && /-----END CERTIFICATE-----/ {
    inside = 0
    if (NR == FNR) known[body] = 1
    else if (!(body in known)) {
      known[body] = 1
      file = sprintf("%s/%03d.crt", folder, ++count)
      printf "%s%s\n", text, $0 > file
      close(file)
    }
    next
  }
  inside { sub(/\r$/, ""); text = text $0 "\n"; body = body $0 }
  END { printf "%d certificates of the host are trusted in addition\n", count }
' "$system" "$bundle"
update-ca-certificates
