#!/bin/sh
# Turns the file system into a node of kind's, the way kind's own image files describe it. Runs inside of it.
set -eu

kind=$1

# kind's files, with the modes that its Dockerfile gives them.
cp -r --no-preserve=mode "$kind/images/base/files/." /
chmod 755 /usr/local/bin/* /kind/bin /kind/bin/*
rm -f /usr/local/bin/clean-install /etc/systemd/system/containerd-fuse-overlayfs.service

config=/etc/containerd/config.toml
# No snapshotter for engines without root is in this image. A machine whose root may not lower a process's badness for
# the killer of processes could start no pod of Kubernetes' own otherwise.
sed -i -e '/^\[proxy_plugins/,/^$/d' \
  -e "s|sandbox_image = .*|sandbox_image = \"registry.k8s.io/pause:$PAUSE_VERSION\"|" \
  -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' $config
grep -q "pause:$PAUSE_VERSION" $config
grep -q 'restrict_oom_score_adj = true' $config

# kind looks for these where its own builds put them.
for name in containerd ctr containerd-shim-runc-v2; do ln -s ../../bin/$name /usr/local/bin/$name; done
mkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin
ctr oci spec |
  jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
    >/etc/containerd/cri-base.json

mkdir -p /etc/kubernetes/manifests /kind/manifests
cp /recipe/manifests/*.yaml /kind/manifests/
printf 'v%s' "$KUBERNETES_VERSION" >/kind/version
for name in kubeadm kubectl kubelet; do ln -s kubernetes /usr/bin/$name; done

# What a container has no use for, or must not do to the machine that it is on.
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/basic.target.wants/* \
  /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl*
echo 'ReadKMsg=no' >>/etc/systemd/journald.conf
ln -sf /lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service service-rules.service
systemctl mask systemd-binfmt.service
