"""Settings of the way to S3: where keys lie, region, class, TLS, plain http; each seen at the server or on the wire."""
import json
import os
import pathlib
import ssl

import pytest

from lib import backups, faultproxy

TABLE = "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 500) g"


class TlsProxy(faultproxy.FaultProxy):
    """A front of the S3 server that speaks only versions of TLS up to the given one; `versions` are those agreed upon."""

    def __init__(self, s3, newest):
        super().__init__(s3.port)
        self.endpoint = self.endpoint.replace("http:", "https:")
        self.versions = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = newest
        self.context.load_cert_chain(os.path.join(s3.folder, "server.pem"), os.path.join(s3.folder, "server.key"))

    def serve(self, connection):
        try:
            wrapped = self.context.wrap_socket(connection, server_side=True)
        except OSError:     # an SSLError is one: the client does not agree
            connection.close()
            return
        self.versions.append(wrapped.version())
        super().serve(wrapped)


@pytest.fixture
def database(db):
    made = db()
    made.query(TABLE)
    return made


@pytest.fixture
def there(opstower, database, s3, bucket):
    opstower.env.update(s3.environment(bucket), DATABASE_URL=database.url, BACKUP_S3_RETRY_TIME="1", BACKUP_S3_TIMEOUT="5")
    return opstower


@pytest.fixture
def proxy(s3):
    with faultproxy.FaultProxy(s3.port) as running:
        yield running


def entries(there, **options):
    return json.loads(there("list", "--json", **options).stdout)


@pytest.mark.parametrize("prefix, begin", [("prod/eu west", "prod/eu west/"), ("with/slash/", "with/slash/"), ("", "database/"),
                                           ("100%+ü", "100%+ü/")])
def test_the_prefix_of_keys(there, database, s3, bucket, prefix, begin):
    there.env["BACKUP_S3_PREFIX"] = prefix
    there("backup")
    (backup,) = backups.all_of(there)
    stem = f"{begin}{backup.timestamp[:8]}/{backup.id}"
    assert {stem + ending for ending in (".sql.gz", ".meta.json", ".globals.sql")} <= set(s3.objects(bucket))
    assert [copy["state"] for copy in entries(there)[0]["copies"]] == ["present", "present"]
    there("verify", stem + ".sql.gz", "--from-s3")
    database.query("DELETE FROM t")
    there("restore", "latest", "--from-s3", "--force", "--no-pre-backup")
    assert database.value("SELECT count(*) FROM t") == 500
    policy = there("bucket", "policy").stdout
    assert f"arn:aws:s3:::{bucket}/{begin}*" in json.loads(policy)["Statement"][0]["Resource"]
    for other in ("elsewhere", begin.rstrip("/")[:-1]):     # not even one that ours begins with
        elsewhere = entries(there, env={"BACKUP_S3_PREFIX": other})
        assert {copy["place"]: copy["state"] for copy in elsewhere[0]["copies"]} == {"local": "present", "s3": "missing"}


@pytest.mark.parametrize("env, region", [({"AWS_REGION": "ap-southeast-1"}, "ap-southeast-1"),
                                         ({"AWS_REGION": None, "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
                                         ({"AWS_REGION": None}, "us-east-1"),
                                         ({"AWS_REGION": None, "AWS_PROFILE": "far"}, "sa-east-1")])
def test_requests_are_signed_for_the_region(there, proxy, env, region):
    home = pathlib.Path(there.env["HOME"]) / ".aws"
    home.mkdir()
    (home / "config").write_text("[profile far]\nregion = sa-east-1\n", encoding="utf-8")
    there("backup", env={"AWS_ENDPOINT_URL_S3": proxy.endpoint, **env})
    scopes = {headers["authorization"].split("Credential=")[1].split(",")[0].split("/", 2)[2] for headers in proxy.headers}
    assert scopes == {f"{region}/s3/aws4_request"}
    assert f"region {region}," in there("bucket", "check", env=env).stdout


def test_the_general_endpoint_counts_where_there_is_none_for_s3(there, proxy):
    env = {"AWS_ENDPOINT_URL_S3": None, "AWS_ENDPOINT_URL": proxy.endpoint}
    there("list", env=env)
    assert proxy.requests != []
    proxy.forget()
    there("list", env={"AWS_ENDPOINT_URL": proxy.endpoint})
    assert proxy.requests == []


def test_class_and_tags_of_an_object_in_parts(there, db, s3, bucket):
    made = db()
    made.query("CREATE TABLE big AS SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 8) i)"
               " FROM generate_series(1, 60000) g")
    there.env.update(DATABASE_URL=made.url, BACKUP_S3_PART_SIZE="5")
    for mode in ([], ["--s3-only"]):
        there("backup", *mode, "--type", "pre-maintenance", "--tag", "v2", env={"BACKUP_S3_STORAGE_CLASS": "STANDARD_IA"})
    there("backup", env={"BACKUP_S3_STORAGE_CLASS": "STANDARD"})
    client = s3.client()
    keys = sorted(key for key in s3.objects(bucket) if key.endswith(".sql.gz"))
    heads = [client.head_object(Bucket=bucket, Key=key) for key in keys]
    assert all("-" in head["ETag"] for head in heads), "they came in parts"
    assert [head.get("StorageClass", "STANDARD") for head in heads] == ["STANDARD_IA", "STANDARD_IA", "STANDARD"]
    for key in keys[:2]:
        tags = {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
        assert (tags["database"], tags["type"], tags["tag"]) == (made.name, "pre-maintenance", "v2")


def test_tls_is_1_3_unless_an_older_one_is_allowed(there, s3):
    with TlsProxy(s3, ssl.TLSVersion.TLSv1_2) as old:
        env = {"AWS_ENDPOINT_URL_S3": old.endpoint, "AWS_CA_BUNDLE": s3.ca_file}
        result = there("list", env=env, check=16)
        assert old.versions == [] and old.requests == [] and len(backups.error_lines(result)) == 1
        result = there("backup", env=env, check=15)
        assert old.versions == [] and "Failed to upload backup to S3" in result.stderr
        there("sync", env={**env, "BACKUP_S3_TLS_MIN": "1.2"})
        assert set(old.versions) == {"TLSv1.2"} and old.requests != []
    with TlsProxy(s3, ssl.TLSVersion.TLSv1_3) as new:
        for least in ("1.2", "1.3"):
            there("list", env={"AWS_ENDPOINT_URL_S3": new.endpoint, "AWS_CA_BUNDLE": s3.ca_file, "BACKUP_S3_TLS_MIN": least})
        assert set(new.versions) == {"TLSv1.3"}


def test_a_certificate_of_another_name_is_refused(there, s3):
    with TlsProxy(s3, ssl.TLSVersion.TLSv1_3) as proxy:
        env = {"AWS_CA_BUNDLE": s3.ca_file, "AWS_ENDPOINT_URL_S3": proxy.endpoint.replace("127.0.0.1", "elsewhere.localhost")}
        result = there("list", env=env, check=16)
        assert proxy.requests == [] and "elsewhere.localhost" in result.stderr


def test_plain_http_to_another_machine_is_only_tried_where_that_is_allowed(there):
    env = {"AWS_ENDPOINT_URL_S3": "http://192.0.2.1", "BACKUP_S3_TIMEOUT": "1"}
    assert "plain http" in there("list", env=env, check=2).stderr
    result = there("list", env={**env, "BACKUP_S3_ALLOW_HTTP": "true"}, check=16)
    assert "plain http" not in result.stderr and len(backups.error_lines(result)) == 1
