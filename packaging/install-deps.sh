#!/bin/bash
# Installs the Debian packages that one of the Makefile's targets needs and that are not there yet.
# Usage: packaging/install-deps.sh build|demo|test|bench
# Where everything is there, it asks dpkg only and is silent. It never starts a daemon, and never makes a system
# PostgreSQL cluster: the tests have servers of their own.
set -euo pipefail

build_set="gcc libc6-dev make meson ninja-build pkg-config libglib2.0-dev libpq-dev libisal-dev libdeflate-dev
    libxxhash-dev libssl-dev libjansson-dev libcurl4-openssl-dev libxml2-dev libsystemd-dev libmicrohttpd-dev
    postgresql-client-15"
demo_set="$build_set postgresql-15"
test_set="$demo_set python3 python3-pytest python3-pytest-xdist python3-psycopg2 python3-aiosmtpd python3-jsonschema
    pgbouncer faketime prometheus python3-xxhash groff-base
    ceph-mon ceph-osd radosgw ceph-common openssl curl python3-boto3 awscli s3cmd
    systemd cron rsyslog python3-yaml yamllint shellcheck jq
    chromium chromium-driver python3-selenium npm"

case "${1:-}" in
    build) wanted=$build_set ;;
    demo) wanted=$demo_set ;;
    bench | test) wanted=$test_set ;;
    *)
        echo "usage: $0 build|demo|test|bench" >&2
        exit 2
        ;;
esac

# A file of a newer or older PostgreSQL, from the distribution or from apt.postgresql.org, serves as well as version 15's.
have_program() {
    local file
    for file in /usr/lib/postgresql/*/bin/"$1"; do
        [ -x "$file" ] && return 0
    done
    return 1
}

# Without dpkg (another distribution) nothing can be installed here; only say which tools are not found.
check_without_dpkg() {
    local tool module missing=""
    for tool in gcc make meson ninja pkg-config; do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    for module in glib-2.0 libpq libisal libdeflate libxxhash libcrypto jansson libcurl libxml-2.0 libsystemd libmicrohttpd; do
        pkg-config --exists "$module" 2>/dev/null || missing="$missing $module"
    done
    command -v pg_dump >/dev/null || have_program pg_dump || missing="$missing pg_dump"
    if [ -n "$missing" ]; then
        echo "This is not a Debian system; please install these yourself:$missing" >&2
        return 1
    fi
}

if ! command -v dpkg-query >/dev/null; then
    check_without_dpkg
    exit
fi

# shellcheck disable=SC2086 # the sets are lists of words
present=" $(dpkg-query -W -f '${db:Status-Status}=${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed=//p' |
    tr '\n' ' ' || true)"
missing=""
for package in $wanted; do
    case "$present" in *" $package "*) continue ;; esac
    case "$package" in
        postgresql-client-15) have_program pg_dump && continue ;;
        postgresql-15) have_program postgres && continue ;;
        pkg-config | npm) command -v "$package" >/dev/null && continue ;;
    esac
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Installing:$missing"
if ! command -v apt-get >/dev/null; then
    echo "apt-get was not found; please install these packages yourself:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Root is needed to install packages and sudo is not there. Run as root: apt-get install$missing" >&2
        exit 1
    fi
    exec sudo -- "$0" "$1"
fi

# Debian's packages start their daemons (Ceph's bring others' along), and PostgreSQL's also makes a cluster. While we
# install, policy-rc.d says no to the first and a drop-in to the second; both go away again, so that a later
# installation by hand behaves as usual.
cluster_dir=/etc/postgresql-common/createcluster.d
cluster_conf=$cluster_dir/opstower-no-cluster.conf
policy=/usr/sbin/policy-rc.d
made_policy=""
undo() {
    rm -f "$cluster_conf"
    rmdir "$cluster_dir" 2>/dev/null || true
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
case "$missing" in
    *postgresql-15*)
        mkdir -p "$cluster_dir"
        echo "create_main_cluster = false" >"$cluster_conf"
        ;;
esac

export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    $missing </dev/null
