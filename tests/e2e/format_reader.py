#!/usr/bin/python3
"""A reader of backup files, written from docs/FORMAT.md alone: it shares no code with the program.

Usage: format_reader.py FILE    checks the whole file, says what is in it, and exits 0 only if it is whole.
"""
import base64
import dataclasses
import hashlib
import json
import re
import sys
import zlib

import xxhash

FIRST_LINE = b"-- OpsTower backup, format 1\n"
DATA_SETTINGS = b"SET lc_monetary = 'C';\nSET intervalstyle = 'postgres';\nSET datestyle = 'ISO';\n\n"
DUMP_COMPLETE = b"--\n-- PostgreSQL database dump complete\n--\n\n"
COPY_END = b"\\.\n\n"
MEMBER_BYTES = 4 << 20
GZIP_HEADER, GZIP_FOOTER = 10, 8
TRAILER_SIZE = 204
TRAILER = re.compile(rb"-- OpsTower trailer: contents at (\d{20}) packed (\d{20}) plain (\d{20}) sha256 ([0-9a-f]{64})\n")
MEMBER = re.compile(r"(head|data|sequences|large-objects|tail) (\d+) (\d+) (\d+) ([0-9a-f]{8}) (\d+) (\d+)")
ORDER = re.compile(r"head( data| large-objects)*( sequences)? tail")


class Damaged(Exception):
    """The file is not as FORMAT.md says."""


def need(condition, text):
    if not condition:
        raise Damaged(text)


def text_of(value):
    """A text of the contents as bytes: UTF-8, or an array of bytes."""
    return bytes(value) if isinstance(value, list) else value.encode()


def hash_of(data):
    return xxhash.xxh3_128_intdigest(data)


def hex_of(number):
    return f"{number % 2**128:032x}"


@dataclasses.dataclass
class Member:
    kind: str
    offset: int
    size: int
    plain: int
    crc: int
    table: int
    rows: int


@dataclasses.dataclass
class Table:
    schema: bytes
    name: bytes
    copy: bytes
    rows: int
    fingerprint: str
    bytes: int
    columns: list
    key: list
    filter: bytes
    found_rows: int = 0
    found_bytes: int = 0
    found_sum: int = 0


def unpack(packed):
    """The text of exactly one gzip member that fills `packed`."""
    need(packed[:4] == b"\x1f\x8b\x08\x00", "a member's header is not gzip's shortest one")
    inflate = zlib.decompressobj(-15)
    try:
        text = inflate.decompress(packed[GZIP_HEADER:])
    except zlib.error as error:
        raise Damaged(f"a member cannot be unpacked: {error}") from error
    footer = inflate.unused_data
    need(inflate.eof and len(footer) == GZIP_FOOTER, "a member does not end where it should")
    need(int.from_bytes(footer[:4], "little") == zlib.crc32(text), "a member's CRC is wrong")
    need(int.from_bytes(footer[4:], "little") == len(text) % 2**32, "a member's length is wrong")
    return text


class Backup:
    """An opened file: facts, tables, members, toc; `check` reads all of it."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.tables, self.members, self.toc = [], [], b""
        self.facts = self.large_objects = None
        self.read_trailer()
        self.read_contents()

    def read_trailer(self):
        last = self.data[-TRAILER_SIZE:]
        need(len(last) == TRAILER_SIZE and last[:15] == bytes.fromhex("1f8b08000000000000ff01b5004aff"), "no trailer")
        match = TRAILER.fullmatch(unpack(last))
        need(match, "the trailer is not one")
        self.contents_offset, self.contents_size, self.contents_plain = (int(match[i]) for i in (1, 2, 3))
        need(self.contents_offset + self.contents_size + TRAILER_SIZE == len(self.data), "the trailer does not fit")
        need(hashlib.sha256(self.data[:-TRAILER_SIZE]).hexdigest() == match[4].decode(), "the trailer's digest is wrong")

    def read_contents(self):
        text = unpack(self.data[self.contents_offset:-TRAILER_SIZE])
        need(len(text) == self.contents_plain and text.endswith(b"\n"), "the contents are cut")
        lines = text.decode("ascii").split("\n")[:-1]
        need(lines[0] == "-- OpsTower contents" and lines[-1] == "-- end of OpsTower contents", "no contents")
        order = ""
        for line in lines[1:-1]:
            sign, word, rest = line.split(" ", 2)
            need(sign == "--" and word in ("facts", "table", "large-objects", "member", "toc"), f"unknown line {word}")
            getattr(self, "read_" + word.replace("-", "_"))(rest)
            order += word[0]
        need(re.fullmatch("ft*lm+t*", order), "the contents' lines are out of order")

    def read_facts(self, rest):
        self.facts = json.loads(rest)

    def read_table(self, rest):
        o = json.loads(rest)
        columns = [(text_of(name), text_of(kind)) for name, kind in o["columns"]]
        self.tables.append(Table(text_of(o["schema"]), text_of(o["name"]), text_of(o["copy"]), o["rows"],
                                 o["fingerprint"], o["bytes"], columns, [text_of(name) for name in o["key"]],
                                 text_of(o["filter"]) if "filter" in o else None))

    def read_large_objects(self, rest):
        self.large_objects = json.loads(rest)

    def read_member(self, rest):
        match = MEMBER.fullmatch(rest)
        need(match, f"not a member: {rest}")
        numbers = [int(match[i]) for i in (2, 3, 4)]
        self.members.append(Member(match[1], *numbers, int(match[5], 16), int(match[6]), int(match[7])))

    def read_toc(self, rest):
        self.toc += base64.b64decode(rest, validate=True)

    def text(self, member):
        """A member's text, held against what the contents say of it."""
        text = unpack(self.data[member.offset:member.offset + member.size])
        need(len(text) == member.plain and zlib.crc32(text) == member.crc, f"the member at {member.offset} is another one")
        need(text.endswith(b"\n"), f"the member at {member.offset} ends within a line")
        return text

    def rows(self, member):
        """The rows of a data member, each with its newline."""
        text = self.text(member)
        head = self.tables[member.table].copy + b"\n"
        need(text.startswith(head) and text.endswith(COPY_END), f"the member at {member.offset} is no COPY statement")
        rows = [row + b"\n" for row in text[len(head):-len(COPY_END)].split(b"\n")[:-1]]
        need(len(text) - len(COPY_END) - (len(rows[-1]) if rows else 0) < MEMBER_BYTES, "a member is too large")
        return rows

    def check_layout(self):
        at = 0
        for member in self.members:
            need(member.offset == at, f"a gap or an overlap at {at}")
            at += member.size
        need(at == self.contents_offset, "the members do not reach the contents")
        need(ORDER.fullmatch(" ".join(member.kind for member in self.members)), "the members are out of order")
        need(all(member.kind == "data" or (member.table, member.rows) == (0, 0) for member in self.members), "stray counts")
        head, tail = self.text(self.members[0]), self.text(self.members[-1])
        need(head.startswith(FIRST_LINE) and head.endswith(DATA_SETTINGS), "the head is not one")
        key = re.search(rb"^\\restrict (\w+)\n", head, re.M)
        end = DUMP_COMPLETE + (b"\\unrestrict " + key[1] + b"\n\n" if key else b"")
        need(tail.endswith(end) and b"\n\\restrict " not in tail, "the tail is not one")

    def check_tables(self):
        for member in self.members:
            if member.kind != "data":
                continue
            table, rows = self.tables[member.table], self.rows(member)
            need(len(rows) == member.rows > 0, f"the member at {member.offset} has {len(rows)} rows")
            table.found_rows += len(rows)
            table.found_bytes += sum(map(len, rows))
            table.found_sum += sum(map(hash_of, rows))
        for table in self.tables:
            found = (table.found_rows, table.found_bytes, hex_of(table.found_sum))
            need(found == (table.rows, table.bytes, table.fingerprint), f"{table.name} is not as its proof says")

    def check_large_objects(self):
        text = b"".join(self.text(member) for member in self.members if member.kind == "large-objects")
        count, total, chain = 0, 0, ""
        for line in text.split(b"\n")[:-1]:
            need(re.match(rb"BEGIN;$|COMMIT;$|SELECT pg_catalog\.lo(_open|write|_close)\(", line), f"what is {line[:60]}")
            if not line.startswith(b"SELECT"):
                continue
            chain = hex_of(hash_of((chain + hex_of(hash_of(line + b"\n"))).encode()))
            if line.startswith(b"SELECT pg_catalog.lo_close("):
                count, total, chain = count + 1, total + hash_of(chain.encode()), ""
        need(not chain, "the last large object is cut")
        found = {"count": count, "fingerprint": hex_of(total)}
        need(found == self.large_objects, f"large objects: {found}, the proof says {self.large_objects}")

    def check(self):
        self.check_layout()
        self.check_tables()
        self.check_large_objects()


def main():
    try:
        backup = Backup(sys.argv[1])
        backup.check()
    except (Damaged, OSError, ValueError, KeyError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    for table in backup.tables:
        name = (table.schema + b"." + table.name).decode(errors="replace")
        print(f"{name:40} {table.rows:12} rows  {table.fingerprint}")
    print(f"whole: {len(backup.members)} members, {len(backup.tables)} tables, "
          f"{sum(table.rows for table in backup.tables)} rows, {backup.large_objects['count']} large objects, "
          f"database {backup.facts['database']} as of {backup.facts['snapshot_time']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
