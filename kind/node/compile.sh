#!/bin/sh
# Compiles one module of this folder: compile.sh MODULE OUTPUT [FLAG...]. What it prints is read for the progress.
set -eu

module=$1
output=$2
shift 2
cd "/recipe/$module"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOMODCACHE=/go/modules GOCACHE=/go/compiled
# A compiler that collects no garbage before it has some is a fifth quicker; one runs for each processor.
export GOGC=off GOMEMLIMIT=512MiB
# Where the host has certificates of its own, they are the ones to fetch with.
if [ -s /run/host-ca.pem ]; then export SSL_CERT_FILE=/run/host-ca.pem; fi
# Proxies and checksum databases, as the host's Go has them: NAME=value lines.
if [ -s /run/go-settings ]; then
  while IFS= read -r line; do export "${line?}"; done </run/go-settings
fi

echo "devstack: fetching $module"
go mod download -x 2>&1 | sed -n 's/^# get .*\/\([^/]*\/@v\/[^:]*zip\): .*/devstack: fetched \1/p'
set -- -trimpath -buildvcs=false -gcflags=all=-dwarf=false "$@"
# Generated code, half of all that is compiled: inlining takes its time there and makes nothing quicker.
for generated in k8s.io/api k8s.io/client-go k8s.io/kubernetes/pkg/apis k8s.io/kubernetes/pkg/generated; do
  set -- "$@" "-gcflags=$generated/...=-dwarf=false -l"
done
# What an earlier build, one that was stopped, has left to do: of how many packages.
packages=$(go list -deps "$@" -f '{{if .Stale}}to do{{else}}done{{end}}' ./...)
echo "devstack: compiling $module $(echo "$packages" | grep -c '^to do$') of $(echo "$packages" | wc -l)"
go build -v "$@" -o "$output" ./...
echo "devstack: compiled $module"
# What the compilers took of the processors.
times >/tmp/times
sed -n '2s/^/devstack: processor time /p' /tmp/times
