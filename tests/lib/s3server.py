"""A private S3 server, Ceph's radosgw, on loopback ports and in a temporary folder; gone when the tests are.

radosgw needs a monitor (ceph-mon) and a place for its objects (ceph-osd), here in memory: about two bytes per byte
stored. All three end with the process (strictly: the thread) that started them, however it ends.

What radosgw 16 does otherwise than AWS, so that no test should rely on it:
- x-amz-checksum-* is ignored; Content-MD5 and x-amz-content-sha256 are checked.
- CompleteMultipartUpload answers an empty ETag (HEAD has it), wants every uploaded part listed, answers 200 again when
  repeated, and ignores If-None-Match.
- x-amz-tagging is lost on CreateMultipartUpload; it works on PutObject, and so does PutObjectTagging.
- AES256 is accepted and not told by HEAD; KMS keys are testkey-1 and testkey-2.
- Object lock does not demand Content-MD5, nor s3:PutObjectRetention where a locked object is stored.
  PutBucketEncryption answers 400, GetObjectAttributes 500. A public access block with BlockPublicAcls makes every PUT
  answer 403.
- <Message> of an error is empty.
"""
import base64
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

import boto3
import botocore.config
import botocore.exceptions
import botocore.handlers
import botocore.session

from . import pgserver, ports

HOST = "s3.localhost"   # BUCKET.s3.localhost is a bucket's own name; *.localhost is too short for a wildcard certificate
CEPH_USER = "client.rgw"

CONFIG = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind ipv6 = false
ms bind port min = {osd_port}
ms bind port max = {last_port}
keyring = {folder}/keyring
run dir = {folder}
crash dir = {folder}
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
# A socket's path would be too long.
admin socket =
debug ms = 0/0
debug rgw = 1/1
max open files = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw rados pool pg num min = 4
rgw override bucket index max shards = 1

[mon]
mon data = {folder}/mon
mon allow pool size one = true
mon max pg per osd = 2000
# Changes count at once; else each pool that is made at the start costs a second.
paxos propose interval = 0.01
paxos min wait = 0.005
mon data avail warn = 1
mon data avail crit = 0

[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 8589934592
osd class update on start = false
osd crush initial weight = 1
osd op num shards = 2
osd op num threads per shard = 2
osd max scrubs = 0

[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port} ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={folder}/server.pem \
ssl_private_key={folder}/server.key tcp_nodelay=1
rgw dns name = {host}
rgw thread pool size = 32
rgw enable usage log = false
rgw enable quota threads = false
rgw run sync thread = false
# The memory of deleted objects is free again within seconds.
rgw gc obj min wait = 1
rgw gc processor period = 2
# Encryption with the client's key, and with KMS keys named testkey-1 and testkey-2.
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = testkey-1={key} testkey-2={key}
rgw s3 auth use sts = true
rgw sts key = 0123456789abcdef
"""

SESSION_POLICY = """{"Version": "2012-10-17", "Statement":
 [{"Effect": "Allow", "Action": "sts:GetSessionToken", "Resource": "*"}]}"""


def require_programs():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    for name in ("ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin", "monmaptool", "openssl", "setpriv"):
        if shutil.which(name, path=path) is None:
            raise RuntimeError(f"{name} was not found; run packaging/install-deps.sh test")


def expect_nothing(client):
    """Makes a client send bodies at once: after a refusal, boto3 has trouble with a body that was not asked for."""
    client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
    return client


class S3Server:  # pylint: disable=too-many-instance-attributes,too-many-public-methods
    """One server. `with S3Server() as s3:` starts it and leaves nothing behind.

    settings: more of radosgw's settings, as {"rgw multipart min part size": 16384} for small parts,
    {"rgw lc debug interval": 2} for lifecycle days of two seconds, {"rgw max concurrent requests": 1} for 503 SlowDown.
    encrypt: every object is encrypted at rest; else AES256 is accepted and does nothing.

    endpoint is http with the bucket in the path; endpoint_tls the same with TLS, to be trusted by ca_file;
    endpoint_host and endpoint_host_tls are for BUCKET.HOST names.
    """

    access_key = "OPSTOWERTESTKEY00000"
    secret_key = "Tests/Secret+Key00000000000000000000000/"
    region = "us-east-1"
    user = "test"

    def __init__(self, settings=None, encrypt=False):
        require_programs()
        self.folder = tempfile.mkdtemp(prefix="opstower-s3-", dir="/tmp")
        self.janitor = pgserver.remove_at_our_end(self.folder)
        self.port, self.claim = ports.claim()
        self.tls_port, self.mon_port = self.port + 1, self.port + 2
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.endpoint_tls = f"https://127.0.0.1:{self.tls_port}"
        self.endpoint_host = f"http://{HOST}:{self.port}"
        self.endpoint_host_tls = f"https://{HOST}:{self.tls_port}"
        self.ca_file = os.path.join(self.folder, "ca.pem")
        self.config_file = os.path.join(self.folder, "ceph.conf")
        self.fsid = str(uuid.uuid4())
        self.settings = dict(settings or {})
        if encrypt:
            self.settings["rgw crypt default encryption key"] = base64.b64encode(os.urandom(32)).decode()
        self.daemons = {}
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("CEPH_")}
        self.env.update(LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self.session = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc_info):
        self.remove()

    # ---- start and end

    def start(self):
        self.write_config()
        self.make_certificates()
        self.tool("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", f"[v2:127.0.0.1:{self.mon_port}/0]",
                  f"{self.folder}/monmap")
        self.tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{self.folder}/monmap",
                  "--keyring", f"{self.folder}/keyring")
        self.launch("mon", "ceph-mon", "-i", "a")
        self.tool("ceph", "osd", "new", self.fsid, "0")
        self.tool("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", self.fsid)
        self.launch("osd", "ceph-osd", "-i", "0")
        self.wait_for_osd()
        self.admin("user", "create", f"--uid={self.user}", "--display-name=Tests", f"--access-key={self.access_key}",
                   f"--secret-key={self.secret_key}", "--caps=user-policy=*;roles=*")
        for name in ("STANDARD_IA", "GLACIER"):     # a name only: what is in it can be read at once
            storage_class = ["placement", "add", "--placement-id=default-placement", f"--storage-class={name}"]
            self.admin("zonegroup", *storage_class, "--rgw-zonegroup=default")
            self.admin("zone", *storage_class, "--rgw-zone=default", "--data-pool=default.rgw.cold.data")
        self.start_rgw()

    def write_config(self):
        for name in ("mon", "osd", "rgw"):
            os.mkdir(os.path.join(self.folder, name))
        key = base64.b64encode(os.urandom(32)).decode()
        text = CONFIG.format(fsid=self.fsid, folder=self.folder, port=self.port, tls_port=self.tls_port,
                             mon_port=self.mon_port, osd_port=self.mon_port + 1, last_port=self.port + ports.BLOCK - 1,
                             host=HOST, key=key)
        text += "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text)
        # A key of Ceph's: its kind (AES), when it was made, its length, its bytes.
        secret = base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()
        with open(os.path.join(self.folder, "keyring"), "w", encoding="utf-8") as file:
            for name in ("mon.", "client.admin", "osd.0", CEPH_USER):
                file.write(f'[{name}]\nkey = {secret}\ncaps mon = "allow *"\ncaps osd = "allow *"\n')

    def make_certificates(self):
        """A certification authority (ca.pem), and a certificate of the server that it signed."""
        self.openssl("-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl("-subj", f"/CN={HOST}", "-keyout", "server.key", "-out", "server.pem", "-CA", "ca.pem",
                     "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
                     f"subjectAltName=DNS:{HOST},DNS:*.{HOST},DNS:localhost,IP:127.0.0.1")

    def openssl(self, *arguments):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-days", "3650", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def launch(self, name, program, *arguments):
        """Starts a daemon that ends with us, however we end."""
        with open(os.path.join(self.folder, f"{name}.out"), "ab") as log:
            self.daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, "-c", self.config_file, *arguments, "-f"], env=self.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)

    def wait_for_osd(self, timeout=60):
        """Who asks it for something before it is up waits for five seconds, then asks again."""
        deadline = time.monotonic() + timeout
        while json.loads(self.tool("ceph", "--format=json", "osd", "stat"))["num_up_osds"] == 0:
            self.check_daemons()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the osd does not come up\n{self.log('osd')}")
            time.sleep(0.02)

    def start_rgw(self, timeout=60):
        self.launch("rgw", "radosgw", "-n", CEPH_USER)
        deadline = time.monotonic() + timeout
        while not self.answers():
            self.check_daemons()
            if time.monotonic() > deadline:
                raise RuntimeError(f"radosgw does not answer\n{self.log('rgw')}")
            time.sleep(0.02)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return connection.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False

    def check_daemons(self):
        for name, process in self.daemons.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}\n{self.log(name)}")

    def tool(self, program, *arguments, timeout=60):
        """Runs a program of Ceph's with this server's configuration; its output."""
        command = [program, "-c", self.config_file, *arguments]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                    env=self.env, cwd="/", timeout=timeout)
        except subprocess.TimeoutExpired:
            self.check_daemons()    # a tool waits for a daemon that has ended
            raise
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr}{result.stdout}")
        return result.stdout

    def log(self, name):
        """The end of a daemon's logs."""
        text = ""
        for file_name in (f"{name}.out", {"mon": "mon.a.log", "osd": "osd.0.log", "rgw": f"{CEPH_USER}.log"}[name]):
            path = os.path.join(self.folder, file_name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()[-4000:]
        return text

    def remove(self):
        """Ends everything; what is in memory need not be saved."""
        for name in ("rgw", "osd", "mon"):
            self.kill(name)
        self.claim.close()
        self.janitor.stdin.close()
        self.janitor.wait()

    # ---- what can go wrong with a server

    def kill(self, daemon="rgw"):
        """Ends a daemon (rgw, osd, mon) as a power cut does. With the osd all objects are gone."""
        process = self.daemons.pop(daemon, None)
        if process is not None:
            process.kill()
            process.wait()

    def restart_rgw(self):
        """radosgw anew, whether it is there or was killed. Objects live on in the osd."""
        self.kill("rgw")
        # The one that was killed watches users and buckets: each change of one would wait half a minute for it.
        watchers = self.tool("rados", "-p", "default.rgw.control", "listwatchers", "notify.0")
        for address in re.findall(r"watcher=(\S+)", watchers):
            self.tool("ceph", "osd", "blocklist", "add", address)
        self.start_rgw()

    def pause(self, daemon="rgw"):
        """The server does not answer any more, its connections stay open."""
        self.daemons[daemon].send_signal(signal.SIGSTOP)

    def resume(self, daemon="rgw"):
        self.daemons[daemon].send_signal(signal.SIGCONT)

    def quota(self, max_bytes):
        """From so many bytes on, PUT answers 403 QuotaExceeded; None: no limit."""
        scope = ["--quota-scope=user", f"--uid={self.user}"]
        if max_bytes is None:
            self.admin("quota", "disable", *scope)
        else:
            self.admin("quota", "set", *scope, f"--max-size={max_bytes}")
            self.admin("quota", "enable", *scope)

    def suspend(self):
        """Every request answers 403 UserSuspended."""
        self.admin("user", "suspend", f"--uid={self.user}")

    def enable(self):
        self.admin("user", "enable", f"--uid={self.user}")

    def add_key(self):
        """One more pair of keys of its user, as AWS_... variables."""
        made = {"AWS_ACCESS_KEY_ID": f"ADDED{uuid.uuid4().hex[:15].upper()}", "AWS_SECRET_ACCESS_KEY": f"Added/{uuid.uuid4().hex}"}
        self.admin("key", "create", f"--uid={self.user}", f"--access-key={made['AWS_ACCESS_KEY_ID']}",
                   f"--secret-key={made['AWS_SECRET_ACCESS_KEY']}")
        return made

    def revoke_key(self, keys):
        """Every request that is signed with them answers 403 InvalidAccessKeyId from now on."""
        self.admin("key", "rm", f"--uid={self.user}", f"--access-key={keys['AWS_ACCESS_KEY_ID']}")

    def admin(self, *arguments):
        """radosgw-admin; its output. Changes need a radosgw that runs: they wait for it to take note."""
        return self.tool("radosgw-admin", *arguments)

    # ---- its clients

    def client(self, service="s3", endpoint=None, credentials=None, **config):
        """A boto3 client that tries once. credentials: AWS_... variables instead of the server's own user."""
        if self.session is None:
            # Nothing from the person who runs the tests: no profile, no files.
            core = botocore.session.Session({"profile": (None, None, None, None),
                                             "config_file": (None, None, os.devnull, None),
                                             "credentials_file": (None, None, os.devnull, None)})
            self.session = boto3.session.Session(botocore_session=core, region_name=self.region)
        credentials = credentials or self.credentials()
        options = {"signature_version": "s3v4", "retries": {"max_attempts": 0}, "connect_timeout": 10,
                   "read_timeout": 30, "s3": {"addressing_style": "path"}, **config}
        if service != "s3":
            del options["signature_version"]
        return expect_nothing(self.session.client(
            service, endpoint_url=endpoint or self.endpoint, verify=self.ca_file,
            config=botocore.config.Config(**options), aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN")))

    def credentials(self):
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def session_credentials(self):
        """Real temporary ones, good for an hour; AWS_SESSION_TOKEN is with them."""
        self.client("iam").put_user_policy(UserName=self.user, PolicyName="sts", PolicyDocument=SESSION_POLICY)
        made = self.client("sts").get_session_token(DurationSeconds=3600)["Credentials"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
                "AWS_SESSION_TOKEN": made["SessionToken"]}

    def environment(self, bucket, endpoint=None):
        """What opstower must know to use a bucket, by the plain endpoint or another: TLS, a proxy's. No monthly archive:
        one object per backup."""
        endpoint = endpoint or self.endpoint
        env = {"BACKUP_S3_BUCKET": bucket, "AWS_ENDPOINT_URL_S3": endpoint, "AWS_REGION": self.region,
               "AWS_EC2_METADATA_DISABLED": "true", "BACKUP_MONTHLY_ARCHIVE": "false", **self.credentials()}
        return {**env, "AWS_CA_BUNDLE": self.ca_file} if endpoint.startswith("https:") else env

    # ---- its buckets

    def make_bucket(self, name, object_lock=False, versioning=False):
        """object_lock brings versioning along, as at AWS."""
        client = self.client()
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)
        if versioning:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def empty(self, bucket):
        """Deletes all objects and versions, also under GOVERNANCE locks, and unfinished uploads."""
        client = self.client()
        for key, upload in self.unfinished_uploads(bucket):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
                client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"],
                                     BypassGovernanceRetention=True)

    def objects(self, bucket, prefix=""):
        """{key: bytes} of what is there now."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def backups(self, bucket):
        """The same without the journal's copy."""
        return {key: data for key, data in self.objects(bucket).items() if "/journal/" not in key}

    def unfinished_uploads(self, bucket, prefix=""):
        """[(key, upload id)] of multipart uploads that are neither completed nor aborted."""
        pages = self.client().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
        return [(each["Key"], each["UploadId"]) for page in pages for each in page.get("Uploads", [])]
