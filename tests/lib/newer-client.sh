#!/bin/bash
# PostgreSQL's client programs of a newer major version than the distribution has: the packages of a later suite are
# downloaded through apt, unpacked into a folder, and run there through the dynamic loader and the C library that come
# with them. Nothing is installed.
# Usage: newer-client.sh MAJOR FOLDER
# FOLDER/bin then has psql, pg_dump, pg_restore, pg_dumpall and pg_basebackup.
set -euo pipefail

major=$1 folder=$2
suites="trixie forky sid"
programs="psql pg_dump pg_restore pg_dumpall pg_basebackup"

# Where this machine's own packages come from: later suites lie in the same archive.
archive=$(
    # shellcheck source=/dev/null
    . /etc/os-release
    # shellcheck disable=SC2016 # the words are apt's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$VERSION_CODENAME" '$2 == suite && $3 == "main" { print $1; exit }'
)
[ -n "$archive" ] || { echo "apt does not know an archive of this distribution" >&2; exit 1; }

mkdir -p "$folder"/{lists,archives}/partial "$folder/root" "$folder/bin"
own_apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$folder/lists" -o Dir::Cache::archives="$folder/archives" \
        -o Dir::State::status=/dev/null -o Debug::NoLocking=1 -o Acquire::Retries=3 -o APT::Sandbox::User= \
        -o APT::Install-Recommends=false "$@"
}

# With an empty status file all that the client needs is new, the C library and its loader included.
find_packages() {
    local suite
    for suite in $suites; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" \
            >"$folder/sources.list"
        own_apt update || continue
        own_apt --print-uris -y install "postgresql-client-$major" >"$folder/uris" 2>/dev/null && return
    done
    echo "no suite of $suites has postgresql-client-$major" >&2
    return 1
}

find_packages
# Not what only its packages' scripts and the wrappers in /usr/bin want.
mapfile -t names < <(sed -E "s/^'[^']*' ([^_ ]+)_.*/\1/" "$folder/uris" |
    grep -E "^(postgresql-client-$major|lib.*|zlib1g|gcc-[0-9]+-base)$" | grep -vE '^lib.*-perl$|^libperl')
(cd "$folder/archives" && own_apt download "${names[@]}")
for package in "$folder"/archives/*.deb; do
    dpkg-deb -x "$package" "$folder/root"
done

libraries=$(dirname "$(find "$folder/root" -name 'libpq.so.5' | head -1)")
loader=$(find "$folder/root" -name 'ld-linux*.so.*' -o -name 'ld64.so.*' | head -1)
real=$folder/root/usr/lib/postgresql/$major/bin
for program in $programs; do
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$real/$program.real" \
        >"$folder/bin/$program"
    chmod 755 "$folder/bin/$program"
    # pg_dumpall starts the pg_dump that lies beside itself: there too it is one that runs here.
    mv "$real/$program" "$real/$program.real"
    cp "$folder/bin/$program" "$real/$program"
done
rm -rf "$folder/archives" "$folder/lists"
"$folder/bin/pg_dump" --version >/dev/null
