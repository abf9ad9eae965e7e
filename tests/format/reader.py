#!/usr/bin/env python3
"""An independent reader of sealift bundles, version 1.

It was written from docs/format.md alone, without a look at the program that writes bundles: if it
can read them, the text is complete, and whoever holds a bundle and that text can always get the
images back. It shares no code with sealift, so a mistake would have to be made twice to go unseen.

It needs Python 3.11 and the commands `openssl` and `zstd`. It is made to be read, not to be fast,
reads sets of one volume, and unpacks into a temporary file as large as the content of the packs.

    reader.py BUNDLE --key SENDER.pub check
    reader.py BUNDLE --key SENDER.pub list
    reader.py BUNDLE --key SENDER.pub restore DIGEST > FILE
"""

import argparse
import base64
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20
HEX = "[0-9a-f]"
DIGEST = re.compile(f"sha256:{HEX}{{64}}|sha512:{HEX}{{128}}")
INDEXES = {"application/vnd.oci.image.index.v1+json",
           "application/vnd.docker.distribution.manifest.list.v2+json"}
MANIFESTS = {"application/vnd.oci.image.manifest.v1+json",
             "application/vnd.docker.distribution.manifest.v2+json"}
FOREIGN = re.compile(r"application/vnd\.(docker\.image\.rootfs\.foreign\.diff\.tar"
                     r"|oci\.image\.layer\.nondistributable\.v1\.tar)([.+][a-z]+)?")
# Ed25519: the prime of the field, the order of the group, y of the points of small order.
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
SMALL = {0, 1, PRIME - 1, Y8, PRIME - Y8}


class Wrong(Exception):
    """The bundle is not what the specification or the sender's signature says."""


def need(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Wrong(otherwise)


# Section 1: the tar.

def header(name: str, size: int, mtime: int) -> bytes:
    """The one canonical header of a member."""
    fields = (name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
              + b"%011o\0%011o\0" % (size, mtime) + b" " * 8 + b"0" + bytes(100)
              + b"ustar\x0000").ljust(512, b"\0")
    return fields[:148] + b"%07o\0" % sum(fields) + fields[156:]


def after(offset: int, size: int) -> int:
    """Where a member ends whose header is at `offset`."""
    return offset + 512 + (size + 511) // 512 * 512


# Section 2: the manifest.

def parse_json(data: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs), "a key stands twice in a JSON object")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise Wrong(f"{constant} is not JSON")

    brackets = re.sub(rb'"(?:[^"\\]|\\.)*+"|[^][{}"]+', b"", data)
    depth = itertools.accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
    need(max(depth, default=0) <= 128, "the JSON is nested too deeply")
    try:
        document = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Wrong(f"not JSON: {error}") from error
    need(type(document) is dict, "the JSON is not an object")
    return document


def get(where: Any, name: str, kind: type, optional: bool = False) -> Any:
    """A member of a JSON object, of the type that it must have."""
    need(type(where) is dict, f"there is no object to hold {name}")
    if optional and name not in where:
        return kind()
    value = where.get(name)
    need(type(value) is kind, f"{name} is missing or not of type {kind.__name__}")
    need(kind is not int or 0 <= value < 1 << 64, f"{name} is out of range")
    return value


def get_digest(where: Any, name: str, kind: str = "sha") -> str:
    value = get(where, name, str)
    need(bool(DIGEST.fullmatch(value)) and value.startswith(kind), f"{name} is not a digest")
    return value


@dataclass
class Frame:
    offset: int
    size: int
    digest: str
    content: int
    name: str

    @classmethod
    def of(cls, value: Any, folder: str, limit: int) -> "Frame":
        need(get(value, "volume", int) == 1, "a frame lies in a volume that there is not")
        digest = get_digest(value, "digest", "sha256:")
        frame = cls(get(value, "offset", int), get(value, "size", int), digest,
                    get(value, "content", int), f"{folder}/{digest[7:]}.zst")
        need(0 < frame.content <= limit, f"{frame.name}: length of content is out of bounds")
        need(frame.size <= limit + limit // 128 + 4096, f"{frame.name}: too long")
        return frame


# Section 3: zstd frames.

def decompress(frame: Frame, stored: bytes) -> bytes:
    """The content of the one zstd frame that `stored` must be, its digest having been checked."""
    need(stored[:4] == b"\x28\xb5\x2f\xfd" and len(stored) > 5, f"{frame.name}: not a zstd frame")
    flags = stored[4]
    single = flags >> 5 & 1
    width = (single, 2, 4, 8)[flags >> 6]
    need(width > 0, f"{frame.name}: does not state the size of its content")
    need(bool(flags & 4), f"{frame.name}: has no checksum of its content")
    need(flags & 3 == 0, f"{frame.name}: needs a dictionary")
    at = 5 if single else 6
    size = int.from_bytes(stored[at:at + width], "little") + (256 if width == 2 else 0)
    need(size == frame.content, f"{frame.name}: its content has another size than the manifest says")
    at, last = at + width, 0
    while not last:  # over the blocks, to see that the frame ends where the member ends
        need(at + 3 <= len(stored), f"{frame.name}: the frame is cut off")
        block = int.from_bytes(stored[at:at + 3], "little")
        last, at = block & 1, at + 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
    need(at + 4 == len(stored), f"{frame.name}: the frame does not end where the member ends")
    with tempfile.TemporaryFile() as pipe:
        pipe.write(stored)
        pipe.seek(0)
        command = ["zstd", "-dcq", "--memory=512MB"]
        with subprocess.Popen(command, stdin=pipe, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as zstd:
            assert zstd.stdout
            content = zstd.stdout.read(frame.content)
            more = zstd.stdout.read(1)
            if more:
                zstd.kill()
    need(zstd.returncode == 0 and not more and len(content) == frame.content,
         f"{frame.name}: does not decompress to what the manifest says")
    return content


# Section 4: the index.

@dataclass
class Blob:
    """`pairs` says how to interleave `streams`, each a list of (start, length) in the packs."""
    digest: str
    size: int
    inline: bytes | None
    streams: tuple[list[tuple[int, int]], list[tuple[int, int]]]
    pairs: list[tuple[int, int]]


class Index:
    def __init__(self, data: bytes, packs: list[Frame]) -> None:
        self.data, self.at = data, 0
        need(self.take(16) == b"sealift index 1\n", "the index has another first line")
        need(self.number() == len(packs), "index and manifest differ in the number of packs")
        counts = [self.number() for _ in packs]
        need(sum(counts) * 17 <= len(data), "the index counts more chunks than it has room for")
        lengths = [self.number() for _ in range(sum(counts))]
        need(all(1 <= length <= MIB for length in lengths), "a chunk has no length that it may have")
        # Packs and chunks lie without gaps: laid end to end, a chunk begins at the sum before it.
        self.starts = list(itertools.accumulate(lengths, initial=0))
        chunks = itertools.accumulate(counts, initial=0)
        for (first, end), pack in zip(itertools.pairwise(chunks), packs):
            need(self.starts[end] - self.starts[first] == pack.content,
                 f"{pack.name}: its chunks do not add up to its content")
        self.hashes = [self.take(16) for _ in lengths]
        self.blobs: dict[str, Blob] = {}
        for _ in range(self.number()):
            blob = self.blob()
            need(blob.digest not in self.blobs, f"{blob.digest} is in the index twice")
            self.blobs[blob.digest] = blob
        need(self.at == len(data), "something follows the index")

    def take(self, count: int) -> bytes:
        need(count <= len(self.data) - self.at, "the index is cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                need(value < 1 << 64 and (byte > 0 or shift == 0), "a number in another form")
                return value
        raise Wrong("a number of more than 64 bits")

    def digest(self) -> str:
        kind = self.take(1)[0]
        need(kind in (1, 2), "a digest of an unknown kind")
        return ("sha256:" if kind == 1 else "sha512:") + self.take(32 * kind).hex()

    def runs(self) -> list[tuple[int, int]]:
        runs, end = [], 0
        for _ in range(self.number()):
            distance, count = self.number(), self.number()
            first = end + (distance // 2 if distance % 2 == 0 else -(distance + 1) // 2)
            end = first + count
            need(count >= 1 and 0 <= first and end < len(self.starts), "a run of no chunks")
            runs.append((self.starts[first], self.starts[end] - self.starts[first]))
        return runs

    def blob(self) -> Blob:
        digest, size, layer = self.digest(), self.number(), self.number()
        need(layer <= 1, f"{digest}: neither a compressed layer nor not")
        if layer:
            self.digest(), self.number()  # of what it decompresses to: not needed here
        need(self.number() == 0, f"{digest}: an unknown encoding")
        body = self.number()
        if body == 0:
            need(size <= 4 * MIB, f"{digest}: too long to be inline")
            return Blob(digest, size, self.take(size), ([], []), [])
        need(body <= 2, f"{digest}: an unknown body")
        streams: tuple = (self.runs(), self.runs() if body == 2 else [])
        pairs = [(size, 0)]
        if body == 2:
            pairs = [(self.number(), self.number()) for _ in range(self.number())]
            need(all(map(any, pairs)), f"{digest}: a pair of nothing")
        for stream, used in zip(streams, ([a for a, _ in pairs], [b for _, b in pairs])):
            need(sum(length for _, length in stream) == sum(used), f"{digest}: chunks do not add up")
        need(sum(map(sum, pairs)) == size, f"{digest}: its parts do not add up to its size")
        return Blob(digest, size, None, streams, pairs)


# Section 5: signatures.

def public_key(path: Path) -> bytes:
    pem = re.search(r"-----BEGIN PUBLIC KEY-----([^-]+)-----END", path.read_text())
    der = base64.b64decode(pem[1]) if pem else b""
    need(len(der) == 44 and der[:12].hex() == "302a300506032b6570032100",
         f"{path} holds no Ed25519 public key")
    return der[12:]


def verifies(key: Path, signature: bytes, message: bytes) -> bool:
    for point in (public_key(key), signature[:32]):
        if int.from_bytes(point, "little") % 2**255 % PRIME in SMALL:
            return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "signature").write_bytes(signature)
        (Path(folder) / "manifest").write_bytes(message)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key.absolute(),
                   "-in", "manifest", "-sigfile", "signature"]
        return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


class Bundle:
    """A bundle whose manifest was found, is signed by `key`, and makes sense."""

    def __init__(self, path: Path, key: Path) -> None:
        self.file = path.open("rb")
        self.length = self.file.seek(0, 2)
        self.mtime: int | None = None
        self.index: Index | None = None
        self.plain = tempfile.TemporaryFile()  # the contents of the packs, end to end
        self.unpacked: set[int] = set()
        manifest, signatures = self.find()
        name = hashlib.sha256(public_key(key)).hexdigest()
        need(name in signatures, "there is no signature by this key")
        need(verifies(key, signatures[name], manifest), "the signature does not verify")
        self.parse(manifest)

    def read(self, offset: int, count: int) -> bytes:
        need(0 <= offset <= self.length - count, "the bundle is cut off")
        self.file.seek(offset)
        return self.file.read(count)

    def member(self, offset: int, name: str, limit: int, size: int | None = None) -> bytes:
        """The content of the member that must be there, its header and padding checked."""
        raw = self.read(offset, 512)
        numbers = re.fullmatch(rb"([0-7]{11})\0([0-7]{11})\0", raw[124:148])
        need(numbers is not None, f"{name}: not a canonical header")
        size = int(numbers[1], 8) if size is None else size
        self.mtime = int(numbers[2], 8) if self.mtime is None else self.mtime
        need(size < 8**11 and raw == header(name, size, self.mtime), f"{name}: not its header")
        need(size <= limit, f"{name}: too long")
        content = self.read(offset + 512, after(0, size) - 512)
        need(not any(content[size:]), f"{name}: the padding is not empty")
        return content[:size]

    def find(self) -> tuple[bytes, dict[str, bytes]]:
        """The bytes of the manifest, unread, and the signatures."""
        end = self.length - 2048
        need(not any(self.read(end + 1024, 1024)), "the end of the bundle is not empty")
        tail = re.fullmatch(rb"sealift tail 1\nmanifest ([0-9]{20})\n", self.member(end, "tail", 45))
        need(tail is not None, "the tail is unusable")
        self.end = int(tail[1])
        manifest = self.member(self.end, "manifest", 16 * MIB)
        at, signatures = after(self.end, len(manifest)), {}
        while at < end:
            name = self.read(at, 79).decode("latin-1")
            need(bool(re.fullmatch(f"signatures/{HEX}{{64}}\\.sig", name)), "an unknown member")
            need(name[11:75] > max(signatures, default=""), "the signatures are not in order")
            signatures[name[11:75]] = self.member(at, name, 64, 64)
            need(len(signatures) <= 16, "too many signatures")
            at = after(at, 64)
        need(at == end, "the members do not end where the tail begins")
        return manifest, signatures

    def parse(self, manifest: bytes) -> None:
        need(manifest.startswith(b"sealift manifest 1\n"), "the manifest has another first line")
        need(manifest.endswith(b"\n"), "the manifest does not end with a line feed")
        self.manifest = document = parse_json(manifest[19:])
        need(get(document, "critical", list, True) == [], "it needs features unknown to version 1")
        need(bool(re.fullmatch(f"{HEX}{{32}}", get(document, "set", str))), "set is not a name")
        need(get(document, "created", int) == self.mtime, "created is not the time of the members")
        get(document, "generator", str), get(document, "encoder", dict)
        volumes = get(document, "volumes", list)
        need(len(volumes) == 1, "this reader reads sets of one volume")
        need(get(volumes[0], "number", int) == 1, "the volumes are not numbered from 1")
        self.readme = get(document, "readme", dict)
        need(get(self.readme, "size", int) <= 65536, "README.txt: too long")
        get_digest(self.readme, "digest", "sha256:")
        self.packs = [Frame.of(pack, "packs", 64 * MIB) for pack in get(document, "packs", list)]
        self.index_frame = Frame.of(get(document, "index", dict), "index", 512 * MIB)
        frames = [*self.packs, self.index_frame]
        need(len({frame.digest for frame in frames}) == len(frames), "a digest stands twice")
        self.volume = f"sealift volume 1\nset {document['set']}\nnumber 1\n".encode()
        at = after(after(0, self.readme["size"]), len(self.volume))
        for frame in frames:
            need(frame.offset == at, f"{frame.name}: not where the member before it ends")
            at = after(at, frame.size)
        need(get(volumes[0], "size", int) == at == self.end, "the volume has another size")
        self.images = get(document, "images", list)
        for image in self.images:
            name = get(image, "name", str, True)
            need("name" not in image or bool(re.fullmatch("[!-~]+/[!-~]+", name)), "not a name")
            get(image, "synthesized", bool, True)
            if "fromIndex" in image:
                get_digest(image, "fromIndex")
            for platform in get(image, "platforms", list, True):
                get(platform, "os", str), get(platform, "architecture", str)
                get(platform, "variant", str, True), get(platform, "os.version", str, True)
            attached = get(image, "attached", list, True)
            need(len(attached) <= 1024, "too many artifacts attached to an image")
            for artifact in attached:
                need(get(artifact, "kind", str) in ("tag", "referrer", "fallback-index"),
                     "an artifact of an unknown kind")
                get(artifact, "tag", str, artifact["kind"] == "referrer")
                get_digest(artifact, "subject")
            for root in (image, *attached):
                get(root, "mediaType", str), get_digest(root, "digest"), get(root, "size", int)

    def frame(self, frame: Frame, limit: int) -> bytes:
        stored = self.member(frame.offset, frame.name, limit + limit // 128 + 4096, frame.size)
        need(f"sha256:{hashlib.sha256(stored).hexdigest()}" == frame.digest,
             f"{frame.name}: its bytes have another digest")
        return decompress(frame, stored)

    def blobs(self) -> dict[str, Blob]:
        if self.index is None:
            self.index = Index(self.frame(self.index_frame, 512 * MIB), self.packs)
        return self.index.blobs

    def unpack(self, start: int, end: int) -> None:
        """Have the packs that hold these bytes in the temporary file."""
        at = 0
        for number, pack in enumerate(self.packs):
            if at < end and start < at + pack.content and number not in self.unpacked:
                self.plain.seek(at)
                self.plain.write(self.frame(pack, 64 * MIB))
                self.unpacked.add(number)
            at += pack.content

    def reader(self, ranges: list[tuple[int, int]]) -> Callable[[int], Iterator[bytes]]:
        """Something that gives the next so many bytes of these ranges, joined."""
        rest, start, left = iter(ranges), 0, 0

        def take(count: int) -> Iterator[bytes]:
            nonlocal start, left
            while count:
                if not left:
                    start, left = next(rest)
                step = min(count, left, MIB)
                self.unpack(start, start + step)
                self.plain.seek(start)
                yield self.plain.read(step)
                start, left, count = start + step, left - step, count - step
        return take

    # Section 6: the checks that are left once the manifest is trusted.

    def rebuild(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob. Whether they are right is known at the end of the iteration, which
        raises if they are not: until then nobody may use any of them."""
        digest, size = hashlib.new(blob.digest[:6]), 0
        first, second = map(self.reader, blob.streams)
        parts = (itertools.chain(first(a), second(b)) for a, b in blob.pairs)
        for piece in itertools.chain([blob.inline or b""], itertools.chain.from_iterable(parts)):
            digest.update(piece)
            size += len(piece)
            yield piece
        need(size == blob.size and f"{blob.digest[:6]}:{digest.hexdigest()}" == blob.digest,
             f"{blob.digest}: its bytes have another digest")

    def whole(self, root: dict[str, Any]) -> None:
        """Check that everything is there that an image, or an artifact, consists of."""
        blobs, seen = self.blobs(), set()
        need(root["mediaType"] in INDEXES | MANIFESTS, f"{root['digest']}: not a manifest")
        todo = [(root, False)]
        while todo:
            descriptor, is_layer = todo.pop()
            kind, digest = get(descriptor, "mediaType", str), get_digest(descriptor, "digest")
            if digest not in blobs:
                elsewhere = is_layer and FOREIGN.fullmatch(kind) and descriptor.get("urls")
                need(bool(elsewhere), f"{digest}: missing from the bundle")
                continue
            need(blobs[digest].size == get(descriptor, "size", int), f"{digest}: of another size")
            if (kind, digest) in seen or kind not in INDEXES | MANIFESTS:
                continue
            seen.add((kind, digest))
            need(blobs[digest].inline is not None, f"{digest}: a manifest that is not inline")
            document = parse_json(b"".join(self.rebuild(blobs[digest])))
            if kind in INDEXES:
                todo += [(manifest, False) for manifest in get(document, "manifests", list)]
            else:
                todo += [(get(document, "config", dict), False)]
                todo += [(layer, True) for layer in get(document, "layers", list)]

    def check(self) -> None:
        blobs = self.blobs()
        assert self.index
        self.unpack(0, self.index.starts[-1])
        for (start, end), known in zip(itertools.pairwise(self.index.starts), self.index.hashes):
            content = b"".join(self.reader([(start, end - start)])(end - start))
            need(hashlib.sha256(content).digest()[:16] == known, "a chunk has another digest")
        for blob in blobs.values():
            for _ in self.rebuild(blob):
                pass
        readme = self.member(0, "README.txt", 65536, self.readme["size"])
        need(f"sha256:{hashlib.sha256(readme).hexdigest()}" == self.readme["digest"],
             "README.txt: its bytes have another digest")
        volume = self.member(after(0, len(readme)), "volume", 512, len(self.volume))
        need(volume == self.volume, "the member volume says something else")
        for image in self.images:
            for root in (image, *image.get("attached", [])):
                self.whole(root)

    def restore(self, digest: str) -> None:
        blob = self.blobs().get(digest)
        if blob is None:
            raise Wrong(f"{digest}: not in this bundle")
        with tempfile.TemporaryFile() as checked:
            checked.writelines(self.rebuild(blob))
            checked.seek(0)
            shutil.copyfileobj(checked, sys.stdout.buffer)


def main() -> None:
    parser = argparse.ArgumentParser(description="Check and read a sealift bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="public key of the sender, PEM")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="check everything")
    commands.add_parser("list", help="show the images, with nothing but the manifest checked")
    commands.add_parser("restore", help="write a blob to stdout").add_argument("digest")
    arguments = parser.parse_args()
    try:
        bundle = Bundle(arguments.bundle, arguments.key)
        if arguments.command == "restore":
            return bundle.restore(arguments.digest)
        if arguments.command == "check":
            bundle.check()
        for image in bundle.images:
            end = "whole" if arguments.command == "check" else image["size"]
            print(image.get("name", "-"), image["digest"], end)
    except (Wrong, OSError, ValueError) as error:
        sys.exit(f"reader.py: {arguments.bundle}: {error}")


if __name__ == "__main__":
    main()
