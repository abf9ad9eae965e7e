# What images consist of, to be sourced: asked of the registry $registry that servers.sh starts.

# blobs_of REPOSITORY:TAG: the config and the layers of an image, one a line: `layer DIGEST BYTES`.
blobs_of() {
    curl --silent --fail --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        "http://$registry/v2/${1%:*}/manifests/${1##*:}" |
        python3 -c '
import json, sys
manifest = json.load(sys.stdin)
for kind, blobs in ("config", [manifest["config"]]), ("layer", manifest["layers"]):
    for blob in blobs:
        print(kind, blob["digest"], blob["size"])'
}

# blob_file STORAGE DIGEST: where a registry keeps a blob.
blob_file() {
    local hex=${2#sha256:}
    echo "$1/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}
