"""Backups of other days: copies of a real one under another date, here and in a bucket."""
import json
import pathlib
import shutil
import time


def stamp_of(days):
    return time.strftime("%Y%m%d_%H%M%S", time.gmtime(time.time() - days * 86400))


def meta_of(source, name, days, **fields):
    """The metadata that a backup would have, had it been taken so many days ago. fields: what is other."""
    stamp = stamp_of(days)
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - days * 86400))
    new_id = f"{name}_{stamp}"
    return {**source.meta, "timestamp": stamp, "date": date, "snapshot_time": date, "id": new_id, "backup_file": f"{new_id}.sql.gz",
            "log": f"backup_{stamp}.log", **fields}


def put_here(opstower, source, name, days, **fields):
    """A copy of a backup in the folder; its id."""
    folder = pathlib.Path(opstower.backup_dir)
    meta = meta_of(source, name, days, **fields)
    shutil.copy2(source.path, folder / meta["backup_file"])
    (folder / f"{meta['id']}.meta.json").write_text(json.dumps(meta), encoding="utf-8")
    (folder / f"{meta['id']}.globals.sql").write_text("-- roles\n", encoding="utf-8")
    (folder / meta["log"]).write_text("log\n", encoding="utf-8")
    return meta["id"]


def put_there(s3, bucket, source, name, days, key=None, **fields):
    """A copy in the bucket, where opstower would have put it, or at another key, whose name then says when it was taken;
    its key."""
    meta = meta_of(source, name, days, **fields)
    if key:
        new_id = pathlib.PurePath(key).name.removesuffix(".sql.gz")
        date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.strptime(new_id[-15:], "%Y%m%d_%H%M%S"))
        meta.update(id=new_id, timestamp=new_id[-15:], backup_file=f"{new_id}.sql.gz", date=date, snapshot_time=date)
    key = key or f"database/{meta['timestamp'][:8]}/{meta['id']}.sql.gz"
    meta["s3"] = {**(meta.get("s3") or {}), "state": "uploaded", "bucket": bucket, "key": key}
    client = s3.client()
    client.put_object(Bucket=bucket, Key=key, Body=source.path.read_bytes())
    beside = key.removesuffix(".sql.gz")
    client.put_object(Bucket=bucket, Key=beside + ".globals.sql", Body=b"-- roles\n")
    client.put_object(Bucket=bucket, Key=beside + ".meta.json", Body=json.dumps(meta).encode())
    return key


FILLER = "of-no-type"       # retention never deletes such a one, and does not count it as good


def fill_here(opstower, source, name, days):
    """One every five days, as if backups had been made all the time; their ids."""
    return {put_here(opstower, source, name, each + 0.01, type=FILLER) for each in range(5, days, 5)}


def fill_there(s3, bucket, source, name, days):
    """The same in the bucket; their keys."""
    return {put_there(s3, bucket, source, name, each + 0.01, type=FILLER) for each in range(5, days, 5)}
