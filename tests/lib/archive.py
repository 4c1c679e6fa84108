"""Takes opstower's backup files apart and writes them again, by the format's description and Python's own gzip.

What it writes is consistent by itself (sizes, CRCs, contents, trailer, SHA-256, and the metadata beside), so that a
test can change one thing and leave every file-level check content.
"""
import base64
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import zlib

from . import backups

TRAILER = "-- OpsTower trailer: contents at {:020d} packed {:020d} plain {:020d} sha256 {}\n"
TRAILER_TEXT = re.compile(rb"-- OpsTower trailer: contents at (\d{20}) packed (\d{20}) plain (\d{20}) sha256 ([0-9a-f]{64})\n")
TRAILER_SIZE = len(TRAILER.format(0, 0, 0, "0" * 64)) + 23
COPY_END = b"\\.\n\n"


class Member:
    """One gzip member: its packed bytes, and what the contents say of it."""

    def __init__(self, kind, packed, table=0, rows=0):
        self.kind, self.packed, self.table, self.rows = kind, packed, table, rows

    @property
    def text(self):
        return gzip.decompress(self.packed)

    @text.setter
    def text(self, plain):
        self.packed = gzip.compress(plain, mtime=0)

    @property
    def copy(self):
        """(statement, rows, ending) of a COPY member; the rows with their newlines."""
        statement, rest = self.text.split(b"\n", 1)
        at = rest.rindex(b"\\.\n")
        return statement + b"\n", rest[:at].splitlines(keepends=True), rest[at:]

    def line(self, offset):
        plain = self.text
        return f"-- member {self.kind} {offset} {len(self.packed)} {len(plain)} {zlib.crc32(plain):08x} {self.table} {self.rows}"


class Archive:
    """A backup file in parts: members, tables (the proof), facts, and the other lines of its contents."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        at, packed, plain, self.sha256 = TRAILER_TEXT.fullmatch(gzip.decompress(self.data[-TRAILER_SIZE:])).groups()
        self.contents_offset, self.contents_size = int(at), int(packed)
        text = gzip.decompress(self.data[int(at):int(at) + int(packed)])
        assert len(text) == int(plain) and len(self.data) == int(at) + int(packed) + TRAILER_SIZE
        self.members, self.tables, self.lines, self.offsets = [], [], [], []
        for line in text.decode().splitlines():
            if line.startswith("-- member "):
                kind, offset, size, _, _, table, rows = line.split()[2:]
                self.offsets.append(int(offset))
                self.members.append(Member(kind, self.data[int(offset):int(offset) + int(size)], int(table), int(rows)))
            elif line.startswith("-- table "):
                self.tables.append(json.loads(line[len("-- table "):]))
            else:
                self.lines.append(line)

    @property
    def boundaries(self):
        """Where each member, the contents and the trailer begin, and the file's end."""
        return self.offsets + [self.contents_offset, self.contents_offset + self.contents_size, len(self.data)]

    def table(self, name):
        return next(i for i, table in enumerate(self.tables) if table["name"] == name)

    def members_of(self, name):
        return [member for member in self.members if member.kind == "data" and member.table == self.table(name)]

    def edit(self, kind, old, new):
        """Replaces what stands exactly once in the text of the member of that kind (head, sequences, tail)."""
        member = next(member for member in self.members if member.kind == kind)
        assert member.text.count(old) == 1, member.text.count(old)
        member.text = member.text.replace(old, new)

    def edit_toc(self, old, new):
        """Replaces a statement in the table of contents that is restored, by one of the same length."""
        at = next(i for i, line in enumerate(self.lines) if line.startswith("-- toc "))
        toc = b"".join(base64.b64decode(line[7:]) for line in self.lines if line.startswith("-- toc "))
        assert toc.count(old) == 1 and len(old) == len(new), toc.count(old)
        toc = toc.replace(old, new)
        self.lines = [line for line in self.lines if not line.startswith("-- toc ")]
        self.lines[at:at] = ["-- toc " + base64.b64encode(toc[i:i + 3072]).decode() for i in range(0, len(toc), 3072)]

    def drop_rows(self, name):
        """Takes a table's rows and its proof out of the file, as if they had never been part of it."""
        gone = self.table(name)
        self.members = [member for member in self.members if member.kind != "data" or member.table != gone]
        for member in self.members:
            member.table -= member.kind == "data" and member.table > gone
        del self.tables[gone]

    def drop_large_objects(self):
        self.members = [member for member in self.members if member.kind != "large-objects"]
        at = next(i for i, line in enumerate(self.lines) if line.startswith("-- large-objects "))
        self.lines[at] = "-- large-objects " + json.dumps({"count": 0, "fingerprint": "0" * 32})

    def set_fact(self, name, value):
        """Gives a fact another value; None removes it."""
        at = next(i for i, line in enumerate(self.lines) if line.startswith("-- facts "))
        facts = {**json.loads(self.lines[at][len("-- facts "):]), name: value}
        self.lines[at] = "-- facts " + json.dumps({key: fact for key, fact in facts.items() if key != name or fact})

    def prove(self, name):
        """Makes the proof of a table that of the rows that are in its members now."""
        rows = []
        for member in self.members_of(name):
            member.rows = len(member.copy[1])
            rows += member.copy[1]
        self.tables[self.table(name)].update(rows=len(rows), fingerprint=backups.row_fingerprint(rows),
                                             bytes=sum(map(len, rows)))

    def write(self):
        """The file's bytes."""
        body, lines = b"", []
        for member in self.members:
            lines.append(member.line(len(body)))
            body += member.packed
        tables = ["-- table " + json.dumps(table, separators=(",", ":")) for table in self.tables]
        facts = next(i for i, line in enumerate(self.lines) if line.startswith("-- facts "))
        large = next(i for i, line in enumerate(self.lines) if line.startswith("-- large-objects "))
        text = self.lines[:facts + 1] + tables + self.lines[facts + 1:large + 1] + lines + self.lines[large + 1:]
        plain = ("\n".join(text) + "\n").encode()
        contents = gzip.compress(plain, mtime=0)
        sealed = body + contents
        trailer = TRAILER.format(len(body), len(contents), len(plain), hashlib.sha256(sealed).hexdigest()).encode()
        return sealed + stored(trailer)

    def save(self, path, meta_from=None):
        """Writes the file, and metadata that fits it, made from another backup's."""
        path = pathlib.Path(path)
        data = self.write()
        path.write_bytes(data)
        beside = path.with_name(path.name.replace(".sql.gz", ".meta.json"))
        if meta_from:
            meta = meta_from.meta
            meta.update(backup_size=str(len(data)), sha256=hashlib.sha256(data).hexdigest(), backup_file=path.name,
                        id=path.name.replace(".sql.gz", ""), rows=sum(table["rows"] for table in self.tables),
                        tables=[{key: table[key] for key in ("schema", "name", "rows", "fingerprint")}
                                for table in self.tables])
            beside.write_text(json.dumps(meta, indent=2), encoding="utf-8")


def stored(plain):
    """A gzip member of one stored block, as the trailer is."""
    return (b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01" + struct.pack("<HH", len(plain), len(plain) ^ 0xffff) + plain
            + struct.pack("<II", zlib.crc32(plain), len(plain)))


def copy_to(backup, folder, endings=(".sql.gz", ".meta.json")):
    """A copy of a backup in another folder; the copy."""
    os.makedirs(folder, exist_ok=True)
    for ending in endings:
        shutil.copy2(backup.beside(ending), folder)
    return backups.Backup(os.path.join(folder, backup.path.name))
