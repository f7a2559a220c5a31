#!/bin/sh
# Writes the images that a node starts with as one archive (OCI layout): archive.sh LAYERS ARCHIVE. Each folder of LAYERS
# is a layer, stored once however many images share it.
set -eu

layers=$1
archive=$2
out=$(mktemp -d)
blobs=$out/blobs/sha256
mkdir -p "$blobs"
manifests=
echo 'devstack: packing'

# Stores a file under its sum, and tells `DIGEST SIZE`.
store() {
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  size=$(stat -c %s "$1")
  mv "$1" "$blobs/$sum"
  echo "sha256:$sum $size"
}

# layer NAME: its place in an image is remembered in NAME.layer: `DIFF_ID DIGEST SIZE`.
layer() {
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$layers/$1" -cf "$out/$1.tar" .
  diff=sha256:$(sha256sum "$out/$1.tar" | cut -d' ' -f1)
  zstd -q -T0 -9 --rm "$out/$1.tar" -o "$out/$1.zst"
  echo "$diff $(store "$out/$1.zst")" >"$out/$1.layer"
}

# image REFERENCE ENTRYPOINT LAYER...: ENTRYPOINT is JSON.
image() {
  reference=$1
  entrypoint=$2
  shift 2
  for name in "$@"; do cat "$out/$name.layer"; done >"$out/used"
  jq -ncR --arg arch "$ARCH" --argjson entrypoint "$entrypoint" \
    '{architecture: $arch, os: "linux", config: ({Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
      + if $entrypoint == null then {} else {Entrypoint: $entrypoint} end),
      rootfs: {type: "layers", diff_ids: [inputs | split(" ")[0]]}}' <"$out/used" >"$out/config"
  config=$(store "$out/config")
  jq -ncR --arg config "$config" \
    'def entry(type): split(" ") | {mediaType: type, digest: .[0], size: (.[1] | tonumber)};
     {schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: ($config | entry("application/vnd.oci.image.config.v1+json")),
      layers: [inputs | sub("^[^ ]* "; "") | entry("application/vnd.oci.image.layer.v1.tar+zstd")]}' \
    <"$out/used" >"$out/manifest"
  manifest=$(store "$out/manifest")
  manifests="$manifests$reference $manifest
"
}

for name in kubernetes network coredns pause agent; do layer $name; done
for name in kube-apiserver kube-controller-manager kube-scheduler; do
  image "registry.k8s.io/$name:v$KUBERNETES_VERSION" null kubernetes
done
image "registry.k8s.io/etcd:$ETCD_IMAGE_VERSION" null kubernetes
image "registry.k8s.io/kube-proxy:v$KUBERNETES_VERSION" null kubernetes network
image "registry.k8s.io/coredns/coredns:v$COREDNS_VERSION" '["/coredns"]' coredns
image "registry.k8s.io/pause:$PAUSE_VERSION" '["/pause"]' pause
image devstack.dev/node-agent:built-in '["/agent"]' network agent

rm -f "$out"/*.layer "$out/used"
echo '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
printf '%s' "$manifests" | jq -ncR '{schemaVersion: 2, manifests: [inputs | split(" ") |
  {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: .[1], size: (.[2] | tonumber),
   annotations: {"io.containerd.image.name": .[0]}}]}' >"$out/index.json"
tar -C "$out" -cf "$archive" oci-layout index.json blobs
