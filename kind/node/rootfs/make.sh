#!/bin/sh
# Makes the file system of a node below /rootfs, from Debian's packages alone. Debian 12, whose service manager starts on
# both kinds of control groups; only what runs containers is Debian 13's.
set -eu

echo 'devstack: making the file system'
packages=systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,bash,ca-certificates,curl,jq,procps
packages=$packages,socat,iputils-ping,containerd,containernetworking-plugins

# The mirror and the proxies are those that the base image was made with.
sed 's/\btrixie/bookworm/g' /etc/apt/sources.list >/tmp/bookworm.list
set -- /tmp/bookworm.list /etc/apt/sources.list
mmdebstrap --mode=root --skip=check/canmount --variant=minbase --components=main \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged,$packages \
  --aptopt=/etc/apt/apt.conf.d/99mmdebstrap \
  --dpkgopt=/recipe/rootfs/dpkg-settings \
  --setup-hook='install -D -m 644 /recipe/rootfs/apt-preferences "$1/etc/apt/preferences.d/devstack"' \
  bookworm /rootfs "$@"

cd /rootfs
cp /etc/apt/apt.conf.d/90devstack etc/apt/apt.conf.d/
# Programs that nothing in a node calls: 60 MB.
find usr/lib/cni -type f ! -name ptp ! -name portmap ! -name host-local ! -name loopback ! -name bridge -delete
rm -f usr/bin/containerd-shim usr/bin/containerd-shim-runc-v1 usr/bin/containerd-stress
rm -rf var/cache/apt/*.bin var/cache/debconf/*-old var/lib/dpkg/*-old var/log/apt var/log/*.log var/lib/containerd/*
echo 'devstack: made the file system'
