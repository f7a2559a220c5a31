#!/bin/sh
# Puts the images of an archive into the node's own store, not unpacked: the node's runtime does that when it starts.
set -eu

echo 'devstack: storing'
containerd >/tmp/containerd.log 2>&1 &
runtime=$!
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then cat /tmp/containerd.log >&2; exit 1; fi
  sleep 0.1
done
ctr --namespace=k8s.io images import --no-unpack --all-platforms "$1"
# The label keeps the kubelet from removing them when the disk is full: nobody could bring them back.
for reference in $(ctr --namespace=k8s.io images list -q); do
  ctr --namespace=k8s.io images label "$reference" io.cri-containerd.pinned=pinned
done
kill $runtime
wait $runtime || true
rm -rf /run/containerd /tmp/containerd.log
echo 'devstack: stored'
