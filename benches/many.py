#!/usr/bin/env python3
"""Many small images, written straight into the storage of a registry.

Usage: many.py STORAGE IMAGES REPOSITORIES

Each image has a configuration and twelve gzip layers: nine of its own, three that all of its
repository share. The layers hold files of text, some of them in other versions elsewhere, as
packages have. The same arguments make the same bytes. Prints the name of each image.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import zlib

OWN, SHARED = 9, 3


class Storage:
    """The folders of the distribution project's filesystem driver."""

    def __init__(self, root):
        self.root = os.path.join(root, "docker/registry/v2")

    def write(self, path, content):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def blob(self, repository, content):
        digest = hashlib.sha256(content).hexdigest()
        self.write(f"blobs/sha256/{digest[:2]}/{digest}/data", content)
        self.link(f"repositories/{repository}/_layers/sha256/{digest}/link", digest)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def link(self, path, digest):
        self.write(path, f"sha256:{digest}".encode())

    def manifest(self, repository, tag, content):
        digest = hashlib.sha256(content).hexdigest()
        self.write(f"blobs/sha256/{digest[:2]}/{digest}/data", content)
        at = f"repositories/{repository}/_manifests"
        self.link(f"{at}/revisions/sha256/{digest}/link", digest)
        self.link(f"{at}/tags/{tag}/current/link", digest)
        self.link(f"{at}/tags/{tag}/index/sha256/{digest}/link", digest)


def text(seed, length):
    """Words that come again and again, in an order that does not."""
    words, state = [], seed * 2654435761 % 2**32 | 1
    while length > 0:
        state = (state * 1103515245 + 12345) % 2**31
        word = f"word{state >> 16 & 1023}" + ("\n" if state >> 20 & 7 == 0 else " ")
        words.append(word)
        length -= len(word)
    return "".join(words).encode()


def layer(seed):
    """The plain tar of a layer: a few files, the largest depending on the seed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(4):
            content = text(seed * 7 + number, 1500 + seed * 977 % 9000 * (number == 0))
            info = tarfile.TarInfo(f"usr/share/p{seed}/file{number}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def packed(plain):
    """As gzip -n does it."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(plain) + deflate.flush()
    trailer = zlib.crc32(plain).to_bytes(4, "little") + (len(plain) % 2**32).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + body + trailer


def main():
    root, images, repositories = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    storage = Storage(root)
    assert gzip.decompress(packed(layer(1))) == layer(1)
    for image in range(images):
        repository, tag = f"team/app{image % repositories}", str(image // repositories)
        seeds = [10**6 + image % repositories * SHARED + n for n in range(SHARED)]
        seeds += [image * OWN + n for n in range(OWN)]
        plain = [layer(seed) for seed in seeds]
        layers = [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **storage.blob(repository, packed(tar))}
            for tar in plain
        ]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"image": f"{repository}:{tag}"}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in plain]},
        }
        config = storage.blob(repository, json.dumps(config).encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": layers,
        }
        storage.manifest(repository, tag, json.dumps(manifest).encode())
        print(f"{repository}:{tag}")


main()
