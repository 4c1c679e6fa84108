"""The layering script must notice each kind of wrong include, and accept each kind of right one."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

GOOD = [
    ("base/text.c", '#include "base/text.h"'),
    ("base/text.c", '#include "text.h"'),
    ("base/error.c", '#include "net/http.h"'),
    ("pg/plan.c", '#include "base/text.h"\n#include "pg/conn.h"\n#include <libpq-fe.h>'),
    ("catalog/manifest.c", '#include "archive/reader.h"\n#include "pg/plan.h"\n#include <jansson.h>'),
    ("engine/backup.c", '#include "catalog/manifest.h"\n#include <glib.h>'),
    ("cmd/serve.c", '#include "web/web.h"'),
    ("web/serve.c", '#include "engine/watch.h"\n#include <microhttpd.h>'),
    ("net/http.c", "#include <curl/curl.h>"),
    ("archive/gzip.c", "#include <libdeflate.h>\n#include <isa-l.h>\n#include <isa-l/igzip_lib.h>"),
    ("base/fingerprint.h", "#include <xxhash.h>"),
    ("main.c", '#include "cmd/command.h"\n#include "config/settings.h"'),
]
BAD = [
    ("base/text.c", '#include "pg/plan.h"', "goes up"),
    ("base/text.c", '#  include  "../engine/backup.h"', "goes up"),
    ("net/http.c", '#include "store/store.h"', "goes up"),
    ("pg/plan.c", '#include "archive/writer.h"', "sideways"),
    ("archive/writer.c", '#include "config/settings.h"', "sideways"),
    ("store/local.h", '#include "notify/slack.h"', "sideways"),
    ("catalog/manifest.c", '#include "engine/backup.h"', "goes up"),
    ("engine/backup.c", '#include "cmd/command.h"', "goes up"),
    ("cmd/serve.c", '#include "web/routes.h"', "sideways"),
    ("cmd/list.c", '#include "web/web.h"', "sideways"),
    ("web/routes.c", '#include <cmd/command.h>', "sideways"),
    ("engine/backup.c", '#include "../main.h"', "no known folder"),
    ("engine/backup.c", "#include <libpq-fe.h>", "only in pg"),
    ("engine/backup.c", "#include <postgresql/libpq-fe.h>", "only in pg"),
    ("store/s3.c", "#include <curl/curl.h>", "only in net"),
    ("pg/copy.c", "#include <libdeflate.h>", "only in archive"),
    ("base/sink.c", "#include <isa-l.h>", "only in archive"),
    ("cmd/serve.c", "#include <microhttpd.h>", "only in web"),
    ("base/text.c", "#include <xxhash.h>", "only in base/fingerprint"),
    ("base/text.c", "#include <jansson.h>", "only in archive"),
    ("main.c", "#include <libpq-fe.h>", "only in pg"),
    ("util/misc.c", "", "not in a known folder"),
]


def run(src, name, text):
    path = src / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    (src / "cmd").mkdir(exist_ok=True)
    (src / "cmd/command.h").write_text("")
    return subprocess.run([ROOT / "tests/layers", src], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name,text", GOOD)
def test_accepts(tmp_path, name, text):
    result = run(tmp_path / "src", name, text)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name,text,why", BAD)
def test_refuses(tmp_path, name, text, why):
    result = run(tmp_path / "src", name, text)
    assert result.returncode == 1
    assert name in result.stderr and why in result.stderr


def test_no_source_is_no_success(tmp_path):
    result = subprocess.run([ROOT / "tests/layers", tmp_path], capture_output=True, text=True, check=False)
    assert result.returncode == 1
