#!/bin/sh
# Collects below a folder what kube-proxy and the agent call, with the libraries of each. Runs inside the node's file
# system. Where one is missing, a cluster's pods all run and yet no service is reached.
set -eu

target=$1
mkdir -p "$target/usr/bin" "$target/usr/sbin" "$target/usr/lib" "$target/usr/lib64"
for name in bin sbin lib lib64; do ln -s usr/$name "$target/$name"; done

take() {
  for file in "$@"; do
    path=$(readlink -f "$(dirname "$file")")/$(basename "$file")
    [ -e "$target$path" ] || install -D -m 755 "$path" "$target$path"
    for library in $(ldd "$path" | grep -o '/[^ ]*'); do
      there=$(readlink -f "$(dirname "$library")")/$(basename "$library")
      [ -e "$target$there" ] || install -D -m 755 "$library" "$target$there"
    done
  done
}

take "$(command -v xtables-nft-multi)" "$(command -v nft)" "$(command -v conntrack)" "$(command -v ip)" \
  /usr/lib/*/xtables/*.so
for family in iptables ip6tables; do
  for name in $family $family-save $family-restore; do
    ln -s xtables-nft-multi "$target/usr/sbin/$name"
  done
done
