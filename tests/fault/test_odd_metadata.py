"""Metadata with nulls and odd types anywhere: an error or a warning, never a crash."""
import copy
import datetime
import json
import os

from lib.backups import take

ODD = [None, True, -1, 1 << 62, 0.5, "", "x" * 5000, "\u0000", [], [None], {}, {"a": None}]
ASK = [("list",), ("list", "--json"), ("status",), ("status", "--json"), ("prune",), ("hold", "list"), ("verify", "latest"),
       ("restore", "latest", "--table", "public.t")]


def places_of(value, at=()):
    """Every place in a JSON value, the whole itself too."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places_of(each, at + (key,))


def changed(value, at, new):
    if not at:
        return new
    result = copy.deepcopy(value)
    inner = result
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = new
    return result


def assert_no_crash(result):
    assert 0 <= result.returncode < 128, result
    assert "Sanitizer" not in result.output and "runtime error" not in result.output, result
    assert "CRITICAL **" not in result.output and "WARNING **" not in result.output, result


def test_every_field_odd(opstower, db):
    database = db()
    database.query("CREATE TABLE t AS SELECT 1 AS a")
    first = take(opstower, database)
    moment = datetime.datetime(2026, 1, 1)
    for place in places_of(first.meta):
        for odd in ODD:
            moment += datetime.timedelta(seconds=1)
            stem = f"{first.name}_{moment:%Y%m%d_%H%M%S}"
            text = json.dumps(changed(first.meta, place, odd)).replace(first.id, stem)
            os.link(first.path, first.path.with_name(f"{stem}.sql.gz"))
            first.path.with_name(f"{stem}.meta.json").write_text(text, encoding="utf-8")
    for arguments in ASK:
        assert_no_crash(opstower(*arguments, env={"DATABASE_URL": database.url}, check=False))
