#!/usr/bin/env python3
"""An independent reader of sealift bundles, version 1.

It was written from docs/format.md alone, without a look at the program that writes bundles: if it
can read them, the text is complete, and whoever holds a bundle and that text can always get the
images back. It shares no code with sealift, so a mistake would have to be made twice to go unseen.

It needs Python 3.11 and the commands `openssl` and `zstd`. It is made to be read, not to be fast,
and unpacks into a temporary file as large as the content of the packs. BUNDLE is the last volume of
its set; the others are found in the folder that it lies in.

    reader.py BUNDLE --key SENDER.pub check
    reader.py BUNDLE --key SENDER.pub list
    reader.py BUNDLE --key SENDER.pub restore [--plain] DIGEST > FILE
    reader.py BUNDLE --key SENDER.pub prefix PACK > FILE

A delta also needs its base: --base BUNDLE, and the base of that, the newest first.

Of a gzip layer whose encoder is known, `check` rebuilds the plain form and checks everything around
the deflate stream. The stream itself is made by `restore`, where the encoder is one of the programs
zlib, gzip, pigz and busybox; `restore --plain` gives the plain form of any layer.
"""

import argparse
import base64
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

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
    volume: int
    offset: int
    size: int
    digest: str
    content: int
    name: str

    @classmethod
    def of(cls, value: Any, folder: str, limit: int) -> "Frame":
        digest = get_digest(value, "digest", "sha256:")
        frame = cls(get(value, "volume", int), get(value, "offset", int), get(value, "size", int),
                    digest, get(value, "content", int), f"{folder}/{digest[7:]}.zst")
        need(0 < frame.content <= limit, f"{frame.name}: length of content is out of bounds")
        need(frame.size <= limit + limit // 128 + 4096, f"{frame.name}: too long")
        return frame


# Section 3: zstd frames.

def decompress(frame: Frame, stored: bytes, prefix: bytes) -> bytes:
    """The content of the one zstd frame that `stored` must be, its digest having been checked."""
    need(stored[:4] == b"\x28\xb5\x2f\xfd" and len(stored) > 5, f"{frame.name}: not a zstd frame")
    flags = stored[4]
    single = flags >> 5 & 1
    width = (single, 2, 4, 8)[flags >> 6]
    need(width > 0, f"{frame.name}: does not state the size of its content")
    need(bool(flags & 4), f"{frame.name}: has no checksum of its content")
    need(flags & 3 == 0, f"{frame.name}: needs a dictionary")
    window = (8 + (stored[5] & 7)) << 7 + (stored[5] >> 3)
    need(bool(single) or window <= 128 << 20, f"{frame.name}: needs too large a window")
    at = 5 if single else 6
    size = int.from_bytes(stored[at:at + width], "little") + (256 if width == 2 else 0)
    need(size == frame.content, f"{frame.name}: its content has another size than the manifest says")
    at, last = at + width, 0
    while not last:  # over the blocks, to see that the frame ends where the member ends
        need(at + 3 <= len(stored), f"{frame.name}: the frame is cut off")
        block = int.from_bytes(stored[at:at + 3], "little")
        last, at = block & 1, at + 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
    need(at + 4 == len(stored), f"{frame.name}: the frame does not end where the member ends")
    with tempfile.TemporaryFile() as pipe, tempfile.NamedTemporaryFile() as before:
        pipe.write(stored)
        pipe.seek(0)
        # What stands before the prefix changes nothing, and a prefix that looks like a dictionary
        # of zstd would be taken for one.
        before.write(b"\0" + prefix)
        before.flush()
        command = ["zstd", "-dcq", "--memory=512MB"]
        command += [f"--patch-from={before.name}"] if prefix else []
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
class Head:
    """`plain` is digest and length of the plain form of a compressed layer."""
    digest: str
    size: int
    plain: tuple[str, int] | None

    def length(self) -> int:
        return self.plain[1] if self.plain else self.size


@dataclass
class Blob(Head):
    """Of the body, `pairs` says how to interleave `streams`, each a list of (start, length) in the
    packs and pieces, if it is neither `inline` nor blob number `base` of the base."""
    gzip: "Gzip | None" = None
    inline: bytes | None = None
    base: int | None = None
    streams: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    pairs: list[tuple[int, int]] = field(default_factory=list)


class Cursor:
    """Reads numbers and bytes off the front of a table."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

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

    def end(self) -> None:
        need(self.at == len(self.data), "something follows the index, or a recipe in it")


class Index(Cursor):
    def __init__(self, data: bytes, packs: list[Frame], delta: bool) -> None:
        super().__init__(data)
        first = self.take(16)
        need(first in (b"sealift index 1\n", b"sealift index 2\n"), "the index has another first line")
        need(self.number() == len(packs), "index and manifest differ in the number of packs")
        counts = [self.number() for _ in packs]
        need(sum(counts) * 17 <= len(data), "the index counts more chunks than it has room for")
        lengths = [self.number() for _ in range(sum(counts))]
        need(all(1 <= length <= MIB for length in lengths), "a chunk has no length that it may have")
        # Packs and chunks lie without gaps: laid end to end, a chunk begins at the sum before it.
        self.starts = list(itertools.accumulate(lengths, initial=0))
        self.own = self.starts[-1]
        self.packs = list(itertools.accumulate((pack.content for pack in packs), initial=0))
        chunks = itertools.accumulate(counts, initial=0)
        for (first_chunk, end), pack in zip(itertools.pairwise(chunks), packs):
            need(self.starts[end] - self.starts[first_chunk] == pack.content,
                 f"{pack.name}: its chunks do not add up to its content")
        self.hashes = [self.take(16) for _ in lengths]
        # The pieces of the base come behind the chunks, as if they lay in one more pack.
        self.base: list[Head] = []
        self.pieces: list[tuple[int, int]] = []  # number of the blob, offset in its plain form
        self.prefixes: list[list[tuple[int, int]]] = [[] for _ in packs]
        self.uses = 0
        if first[14:15] == b"2":
            self.borrowed()
            need(delta or not self.base, "the index needs a base, and the manifest names none")
            for number in range(len(packs)):
                self.prefixes[number] = self.prefix(number)
            self.uses = 0  # a prefix is no use by a blob
        self.blobs: dict[str, Blob] = {}
        for _ in range(self.number()):
            blob = self.blob()
            need(blob.digest not in self.blobs, f"{blob.digest} is in the index twice")
            self.blobs[blob.digest] = blob
        self.end()

    def digest(self) -> str:
        kind = self.take(1)[0]
        need(kind in (1, 2), "a digest of an unknown kind")
        return ("sha256:" if kind == 1 else "sha512:") + self.take(32 * kind).hex()

    def head(self) -> Head:
        digest, size, layer = self.digest(), self.number(), self.number()
        need(layer <= 1, f"{digest}: neither a compressed layer nor not")
        return Head(digest, size, (self.digest(), self.number()) if layer else None)

    def borrowed(self) -> None:
        for blob in range(self.number()):
            head, end = self.head(), 0
            self.base.append(head)
            for _ in range(self.number()):
                offset, length = end + self.number(), self.number()
                end = offset + length
                need(1 <= length <= MIB and end <= head.length(), "a piece that cannot be there")
                self.pieces.append((blob, offset))
                self.starts.append(self.starts[-1] + length)
        need(len(self.starts) <= 1 << 32, "more chunks than there are numbers")

    def prefix(self, pack: int) -> list[tuple[int, int]]:
        runs = self.runs()
        need(sum(length for _, length in runs) <= 64 * MIB, "the prefix of a pack is too long")
        for start, length in runs:
            end = min(start + length, self.own)
            need(start >= end or end <= self.packs[pack], "a prefix from the pack itself or behind it")
            while start < end:
                other = bisect_right(self.packs, start) - 1
                need(not self.prefixes[other], "a prefix from a pack that has a prefix")
                start = self.packs[other + 1]
        return runs

    def runs(self) -> list[tuple[int, int]]:
        runs, end = [], 0
        for _ in range(self.number()):
            distance, count = self.number(), self.number()
            first = end + (distance // 2 if distance % 2 == 0 else -(distance + 1) // 2)
            end = first + count
            need(count >= 1 and 0 <= first and end < len(self.starts), "a run of no chunks")
            runs.append((self.starts[first], self.starts[end] - self.starts[first]))
            self.uses += count
            need(self.uses <= 268_435_456, "the blobs use too many chunks")
        return runs

    def blob(self) -> Blob:
        head = self.head()
        digest, length, encoding = head.digest, head.size, self.number()
        blob = Blob(digest, head.size, head.plain)
        need(encoding <= 1, f"{digest}: an unknown encoding")
        if encoding == 1:
            need(head.plain is not None, f"{digest}: encoded, and without a plain form")
            count = self.number()
            need(count <= 8 * MIB, f"{digest}: its recipe is too long")
            blob.gzip = Gzip(self.take(count), self.runs(), head)
            length = head.length()
        body = self.number()
        need(body <= 3, f"{digest}: an unknown body")
        if body == 0:
            need(length <= 4 * MIB, f"{digest}: too long to be inline")
            blob.inline = self.take(length)
            return blob
        if body == 3:
            blob.base = self.number()
            need(encoding == 0 and blob.base < len(self.base), f"{digest}: no blob of the base")
            other = self.base[blob.base]
            need((other.digest, other.size) == (digest, length), f"{digest}: another blob of the base")
            return blob
        blob.streams = (self.runs(), self.runs() if body == 2 else [])
        blob.pairs = [(length, 0)]
        if body == 2:
            blob.pairs = [(self.number(), self.number()) for _ in range(self.number())]
            need(all(map(any, blob.pairs)), f"{digest}: a pair of nothing")
        used = ([a for a, _ in blob.pairs], [b for _, b in blob.pairs])
        for stream, lengths in zip(blob.streams, used):
            there = sum(length for _, length in stream)
            need(there == sum(lengths), f"{digest}: chunks do not add up")
        need(sum(map(sum, blob.pairs)) == length, f"{digest}: its parts do not add up to its size")
        return blob


# Section 4.2: gzip streams.

@dataclass
class Member:
    header: bytes
    coder: int
    plain: int
    packed: int
    trailer: bytes | None
    corrections: int


class Gzip(Cursor):
    """A recipe. It speaks only about lengths until it is known what the plain bytes are."""

    def __init__(self, data: bytes, corrections: list[tuple[int, int]], head: Head) -> None:
        super().__init__(data)
        self.members = [self.member() for _ in range(self.number())]
        self.rest = self.take(self.number())
        self.end()
        self.corrections = corrections
        there = sum(length for _, length in corrections)
        need(there <= 64 * MIB and there == sum(member.corrections for member in self.members),
             f"{head.digest}: its corrections do not add up")
        need(sum(member.plain for member in self.members) == head.length(),
             f"{head.digest}: its members do not add up to its plain form")
        packed = sum(len(member.header) + member.packed + 8 for member in self.members)
        need(packed + len(self.rest) == head.size, f"{head.digest}: its recipe has another length")

    def member(self) -> Member:
        header, coder = self.take(self.number()), self.number()
        need(is_engine(coder) or coder == 0, f"{coder:#06x} is no engine")
        plain, packed, kind = self.number(), self.number(), self.number()
        need(kind <= 1, "a trailer of an unknown kind")
        trailer = self.take(8) if kind else None
        corrections = self.number() if coder == 0 else 0
        at = bit = 0
        marks = self.number()
        need(coder > 0 or marks == 0, "marks where there is no engine")
        for _ in range(marks):
            more, bits = self.number(), self.number()
            at, bit, state = at + more, bit + bits, self.take(self.number())
            need(more >= 1 and bits >= 1 and at <= plain and bit <= 8 * packed, "a mark that is nowhere")
            need(can_be(coder, at, state), "a mark with a state that the engine cannot be in")
        return Member(header, coder, plain, packed, trailer, corrections)


# Section 4.3: engines.

def is_engine(coder: int) -> bool:
    family, high, low, level = coder >> 8, coder >> 4 & 15, coder & 15, coder & 255
    level -= level >> 7 << 8
    return (family == 1 and -2 <= level <= 9
            or family == 2 and 1 <= high <= 9 and 1 <= low <= 9
            or family == 3 and high == 0 and 1 <= low <= 9
            or family == 4 and high <= 2 and 4 <= low <= 9
            or family == 5 and high <= 2 and 1 <= low <= 9
            or family >> 3 in (2, 4) and (level == -2 or 0 <= level <= 9))


def can_be(coder: int, plain: int, state: bytes) -> bool:
    """Whether the engine can have a mark there, with that state."""
    family, low = coder >> 8, coder & 15
    if family >> 3 == 2:
        return not state and plain % MIB == 0
    if family == 5 and coder >> 4 & 15 != 1:
        return not state and plain % 131_072 == 0
    if family == 1:
        return not state and coder & 255 not in (1, 2, 3)
    if family > 5 or low < 4 or len(state) not in (2, 6):
        return False
    place, length, distance = (int.from_bytes(state[at:at + 2], "little") for at in (0, 2, 4))
    base = plain - place
    found = (3 <= length <= 258 and 1 <= distance <= min(32_506, place)
             or (length, distance) == (2, 0) or len(state) == 2)
    return found and (base == 0 or base > 0 and base % 32_768 == 0 and place >= 32_506)


def deflate(coder: int, plain: IO[bytes], count: int) -> Iterator[bytes]:
    """The deflate stream of the next `count` bytes, made by the program that the engine is."""
    family, high, level = coder >> 8, coder >> 4 & 15, coder & 15
    if family == 2:
        stream = zlib.compressobj(level, zlib.DEFLATED, -15, high)
        while count:
            piece = plain.read(min(count, MIB))
            count -= len(piece)
            yield stream.compress(piece)
        yield stream.flush()
        return
    pigz = ["pigz", *(["-p2"], ["-p1"], ["-i"])[high % 3]]
    program = {3: ["gzip"], 4: ["busybox", "gzip", "-c"], 5: pigz}.get(family)
    if program is None:
        raise Wrong(f"engine {coder:#06x} is no program that is run here; --plain needs none")
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
        while count:
            piece = plain.read(min(count, MIB))
            count -= len(piece)
            given.write(piece)
        given.seek(0)
        options = [f"-{level}"] if family == 4 else ["-n", f"-{level}"]
        subprocess.run([*program, *options], stdin=given, stdout=made, check=True)
        left = made.seek(0, 2) - 18  # without header and trailer
        made.seek(10)
        while left:
            piece = made.read(min(left, MIB))
            left -= len(piece)
            yield piece


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

    def __init__(self, path: Path, key: Path, bases: "list[Bundle]") -> None:
        # The volumes by number. Before it is known how many there are, the last is number 0.
        self.path, self.files, self.bases = path, {0: path.open("rb")}, bases
        self.length = self.files[0].seek(0, 2)
        self.mtime: int | None = None
        self.index: Index | None = None
        # The contents of the packs, end to end, and behind them the pieces of the base.
        self.plain = tempfile.TemporaryFile()
        self.unpacked: set[int] = set()
        self.borrowed: set[int] = set()
        self.opened: dict[str, IO[bytes]] = {}
        manifest, signatures = self.find()
        self.digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        name = hashlib.sha256(public_key(key)).hexdigest()
        need(name in signatures, "there is no signature by this key")
        need(verifies(key, signatures[name], manifest), "the signature does not verify")
        self.parse(manifest)

    def volume_text(self, number: int) -> bytes:
        return f"sealift volume 1\nset {self.manifest['set']}\nnumber {number}\n".encode()

    def find_volumes(self) -> None:
        """The other volumes of the set: files that claim to be that. The rest is checked as it is
        read."""
        volumes, at = self.manifest["volumes"], after(0, self.readme["size"]) + 512
        self.files[len(volumes)] = self.files[0]
        claims = {self.volume_text(entry["number"]): entry["number"] for entry in volumes}
        for path in sorted(self.path.parent.iterdir()) if len(volumes) > 1 else []:
            if path.is_file():
                file = path.open("rb")
                file.seek(at)
                claim = file.read(512).rstrip(b"\0")
                self.files.setdefault(claims.get(claim, 0), file)

    def read(self, offset: int, count: int, volume: int = 0) -> bytes:
        need(volume in self.files, f"volume {volume} is not there")
        self.files[volume].seek(offset)
        content = self.files[volume].read(count)
        need(len(content) == count, "the bundle is cut off")
        return content

    def member(self, offset: int, name: str, limit: int, size: int | None = None,
               volume: int = 0) -> bytes:
        """The content of the member that must be there, its header and padding checked."""
        raw = self.read(offset, 512, volume)
        numbers = re.fullmatch(rb"([0-7]{11})\0([0-7]{11})\0", raw[124:148])
        need(numbers is not None, f"{name}: not a canonical header")
        size = int(numbers[1], 8) if size is None else size
        self.mtime = int(numbers[2], 8) if self.mtime is None else self.mtime
        need(size < 8**11 and raw == header(name, size, self.mtime), f"{name}: not its header")
        need(size <= limit, f"{name}: too long")
        content = self.read(offset + 512, after(0, size) - 512, volume)
        need(not any(content[size:]), f"{name}: the padding is not empty")
        return content[:size]

    def find(self) -> tuple[bytes, dict[str, bytes]]:
        """The bytes of the manifest, unread, and the signatures."""
        end = self.length - 2048
        need(end >= 0, "the bundle is cut off")
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
        critical = get(document, "critical", list, True)
        need(all(feature == "base" for feature in critical), "it needs features that are unknown")
        need(bool(critical) == ("base" in document), "a base, and no critical feature, or without it")
        if "base" in document:
            base = get_digest(get(document, "base", dict), "digest", "sha256:")
            get(document["base"], "created", int)
            need(not self.bases or any(other.digest == base for other in self.bases),
                 f"what was named is not its base, which is {base}")
        need(bool(re.fullmatch(f"{HEX}{{32}}", get(document, "set", str))), "set is not a name")
        need(get(document, "created", int) == self.mtime, "created is not the time of the members")
        need(("stream" in document) == ("sequence" in document), "a stream without a number, or a number")
        if "stream" in document:
            name = get(document, "stream", str)
            need(bool(re.fullmatch("[a-z0-9][a-z0-9._-]{0,63}", name)), "not the name of a stream")
            need(get(document, "sequence", int) >= 1, "streams are numbered from 1")
        if "expires" in document:
            need(self.mtime < get(document, "expires", int) < 1 << 33, "it expires before it was made")
        get(document, "generator", str), get(document, "encoder", dict)
        volumes = get(document, "volumes", list)
        need(1 <= len(volumes) <= 9999, "the set has a number of volumes that it cannot have")
        need([get(entry, "number", int) for entry in volumes] == [*range(1, len(volumes) + 1)],
             "the volumes are not numbered from 1")
        self.readme = get(document, "readme", dict)
        need(get(self.readme, "size", int) <= 65536, "README.txt: too long")
        get_digest(self.readme, "digest", "sha256:")
        self.packs = [Frame.of(pack, "packs", 64 * MIB) for pack in get(document, "packs", list)]
        self.index_frame = Frame.of(get(document, "index", dict), "index", 512 * MIB)
        frames = [*self.packs, self.index_frame]
        need(len({frame.digest for frame in frames}) == len(frames), "a digest stands twice")
        need(all(a.volume <= b.volume for a, b in itertools.pairwise(frames)), "frames out of order")
        need(self.index_frame.volume == len(volumes), "the index is not in the last volume")
        need(frames[0].volume >= 1, "a frame lies in a volume that there is not")
        for entry in volumes:
            number = entry["number"]
            at = after(after(0, self.readme["size"]), len(self.volume_text(number)))
            for frame in frames:
                if frame.volume == number:
                    need(frame.offset == at, f"{frame.name}: not where the member before it ends")
                    at = after(at, frame.size)
            at += 1024 if number < len(volumes) else 0
            need(get(entry, "size", int) == at, f"volume {number} has another size")
        need(at == self.end, "the manifest is not where the members before it end")
        self.find_volumes()
        self.images = get(document, "images", list)
        for image in self.images:
            name = get(image, "name", str, True)
            need("name" not in image or bool(re.fullmatch("[!-~]+/[!-~]+", name)), "not a name")
            get(image, "synthesized", bool, True)
            if "fromIndex" in image:
                get_digest(image, "fromIndex")
            origin = get(image, "origin", str, True)
            need("origin" not in image or bool(re.fullmatch("[!-~]+/[!-~]+", origin)), "no origin")
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

    def frame(self, frame: Frame, limit: int, prefix: bytes = b"") -> bytes:
        limit += limit // 128 + 4096
        stored = self.member(frame.offset, frame.name, limit, frame.size, frame.volume)
        need(f"sha256:{hashlib.sha256(stored).hexdigest()}" == frame.digest,
             f"{frame.name}: its bytes have another digest")
        return decompress(frame, stored, prefix)

    def blobs(self) -> dict[str, Blob]:
        if self.index is None:
            delta = "base" in self.manifest
            self.index = Index(self.frame(self.index_frame, 512 * MIB), self.packs, delta)
        return self.index.blobs

    def prefix(self, number: int) -> bytes:
        """The prefix of a pack. What it is made of has none: see the index."""
        assert self.index
        ranges = self.index.prefixes[number]
        return b"".join(self.reader(ranges)(sum(length for _, length in ranges)))

    def unpack(self, start: int, end: int) -> None:
        """Have the packs and pieces that hold these bytes in the temporary file."""
        index = self.index
        assert index
        for number in range(bisect_right(index.packs, start) - 1, len(self.packs)):
            at, pack = index.packs[number], self.packs[number]
            if at >= end:
                break
            if number not in self.unpacked:
                content = self.frame(pack, 64 * MIB, self.prefix(number))
                self.plain.seek(at)
                self.plain.write(content)
                self.unpacked.add(number)
        at = max(start, index.own)
        while at < end:
            chunk = bisect_right(index.starts, at) - 1
            at, after_it = index.starts[chunk:chunk + 2]
            if chunk not in self.borrowed:
                blob, offset = index.pieces[chunk - len(index.hashes)]
                plain = self.of_base(index.base[blob])
                plain.seek(offset)
                content = plain.read(after_it - at)
                self.plain.seek(at)
                self.plain.write(content)
                self.borrowed.add(chunk)
            at = after_it

    def of_base(self, head: Head) -> IO[bytes]:
        """The plain form of a blob of the base."""
        for base in self.bases:
            blob = base.blobs().get(head.digest)
            if blob is not None:
                need((blob.size, blob.plain) == (head.size, head.plain), f"{head.digest}: not in the base")
                return base.open_plain(blob)
        raise Wrong(f"it is a delta, and needs {head.digest} of its base: name it with --base")

    def open_plain(self, blob: Blob) -> IO[bytes]:
        """The plain form of a blob in a file, checked."""
        if blob.digest not in self.opened:
            file = tempfile.TemporaryFile()
            if blob.base is not None:
                assert self.index
                return self.of_base(self.index.base[blob.base])
            if blob.gzip or not blob.plain:
                file.writelines(self.rebuild(blob))
            else:
                with tempfile.TemporaryFile() as packed:
                    packed.writelines(self.rebuild(blob))
                    packed.seek(0)
                    begin = os.pread(packed.fileno(), 2, 0)
                    program = "gzip" if begin == b"\x1f\x8b" else "zstd"
                    subprocess.run([program, "-dcq"], stdin=packed, stdout=file, check=True)
                    file.seek(0)
                    digest, size = blob.plain
                    found = hashlib.file_digest(file, digest[:6]).hexdigest()
                    need(f"{digest[:6]}:{found}" == digest and file.tell() == size,
                         f"{blob.digest}: does not decompress to its plain form")
            self.opened[blob.digest] = file
        return self.opened[blob.digest]

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

    # Section 7: the checks that are left once the manifest is trusted.

    def rebuild(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob, with encoding 1 those of its plain form. Whether they are right is
        known at the end of the iteration, which raises if they are not: until then nobody may use
        any of them."""
        expected, length = blob.plain if blob.gzip and blob.plain else (blob.digest, blob.size)
        digest, size = hashlib.new(expected[:6]), 0
        first, second = map(self.reader, blob.streams)
        parts = (itertools.chain(first(a), second(b)) for a, b in blob.pairs)
        whole = [blob.inline or b""] if blob.base is None else self.whole_of_base(blob)
        for piece in itertools.chain(whole, itertools.chain.from_iterable(parts)):
            digest.update(piece)
            size += len(piece)
            yield piece
        need(size == length and f"{expected[:6]}:{digest.hexdigest()}" == expected,
             f"{blob.digest}: its bytes have another digest")

    def whole_of_base(self, blob: Blob) -> Iterator[bytes]:
        for base in self.bases:
            if blob.digest in base.blobs():
                return base.exact(base.blobs()[blob.digest])
        raise Wrong(f"it is a delta, and needs {blob.digest} of its base: name it with --base")

    def exact(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob, gzip streams made again. Like rebuild, it raises at the end."""
        if blob.gzip is None:
            yield from self.rebuild(blob)
            return
        plain, digest, size = self.open_plain(blob), hashlib.new(blob.digest[:6]), 0
        plain.seek(0)
        at = 0
        for member in blob.gzip.members:
            crc, left = 0, member.plain
            while left:
                piece = plain.read(min(left, MIB))
                crc, left = zlib.crc32(piece, crc), left - len(piece)
            plain.seek(at)
            at += member.plain
            tail = crc.to_bytes(4, "little") + (member.plain % 2**32).to_bytes(4, "little")
            stream = deflate(member.coder, plain, member.plain)
            for piece in itertools.chain([member.header], stream, [member.trailer or tail]):
                digest.update(piece)
                size += len(piece)
                yield piece
            plain.seek(at)
        digest.update(blob.gzip.rest)
        yield blob.gzip.rest
        need(size + len(blob.gzip.rest) == blob.size
             and f"{blob.digest[:6]}:{digest.hexdigest()}" == blob.digest,
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
        self.unpack(0, self.index.starts[-1])  # and with them the pieces of the base
        for (start, end), known in zip(itertools.pairwise(self.index.starts), self.index.hashes):
            content = b"".join(self.reader([(start, end - start)])(end - start))
            need(hashlib.sha256(content).digest()[:16] == known, "a chunk has another digest")
        for blob in blobs.values():
            if blob.base is not None:
                self.of_base(self.index.base[blob.base])
                continue
            for _ in self.rebuild(blob):
                pass
        for entry in self.manifest["volumes"]:
            self.check_volume(entry["number"], entry["size"])
        for image in self.images:
            for root in (image, *image.get("attached", [])):
                self.whole(root)

    def check_volume(self, number: int, size: int) -> None:
        """Check what belongs to no frame: the first members, and the end."""
        readme = self.member(0, "README.txt", 65536, self.readme["size"], number)
        need(f"sha256:{hashlib.sha256(readme).hexdigest()}" == self.readme["digest"],
             "README.txt: its bytes have another digest")
        text = self.volume_text(number)
        volume = self.member(after(0, len(readme)), "volume", 512, len(text), number)
        need(volume == text, "the member volume says something else")
        if number < len(self.manifest["volumes"]):
            need(self.files[number].seek(0, 2) == size, f"volume {number} has another length")
            need(not any(self.read(size - 1024, 1024, number)), f"the end of volume {number}")

    def restore(self, digest: str, plain: bool) -> None:
        blob = self.blobs().get(digest)
        if blob is None:
            raise Wrong(f"{digest}: not in this bundle")
        with tempfile.TemporaryFile() as file:
            checked = self.open_plain(blob) if plain else file
            if not plain:
                checked.writelines(self.exact(blob))
            checked.seek(0)
            shutil.copyfileobj(checked, sys.stdout.buffer)

    def show_prefix(self, name: str) -> None:
        self.blobs()
        for number, pack in enumerate(self.packs):
            if pack.digest[7:] == name:
                sys.stdout.buffer.write(self.prefix(number))
                return
        raise Wrong(f"{name}: no pack has this name")


def main() -> None:
    parser = argparse.ArgumentParser(description="Check and read a sealift bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="public key of the sender, PEM")
    parser.add_argument("--base", type=Path, action="append", default=[],
                        help="for a delta: its base; then the base of that, and so on")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="check everything")
    commands.add_parser("list", help="show the images, with nothing but the manifest checked")
    restore = commands.add_parser("restore", help="write a blob to stdout")
    restore.add_argument("--plain", action="store_true", help="its plain form")
    restore.add_argument("digest")
    commands.add_parser("prefix", help="write the prefix of a pack to stdout").add_argument("pack")
    arguments = parser.parse_args()
    try:
        bases: list[Bundle] = []
        for path in reversed(arguments.base):
            bases.insert(0, Bundle(path, arguments.key, bases[:]))
        bundle = Bundle(arguments.bundle, arguments.key, bases)
        if arguments.command == "restore":
            return bundle.restore(arguments.digest, arguments.plain)
        if arguments.command == "prefix":
            return bundle.show_prefix(arguments.pack)
        if arguments.command == "check":
            bundle.check()
        for image in bundle.images:
            end = "whole" if arguments.command == "check" else image["size"]
            print(image.get("name", "-"), image["digest"], end)
    except (Wrong, OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"reader.py: {arguments.bundle}: {error}")


if __name__ == "__main__":
    main()
