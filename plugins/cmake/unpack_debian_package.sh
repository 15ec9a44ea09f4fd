#!/bin/sh
# Unpack packages of Debian into <folder>/unpacked, without root and without touching the system's package sources: a
# private apt configuration with the system's own mirror and archive key, the suite replaced. apt checks the signature as
# always. The last line of the output says what went wrong.
#   usage: unpack_debian_package.sh <folder> <packages> <components> [suite, else trixie]
#   (VMEXPORT_APT_ETC: another place than /etc/apt, for tests)
set -eu

folder=${1:?folder}
packages=${2:?packages}
components=${3:?components}
suite=${4:-trixie}
etc=${VMEXPORT_APT_ETC:-/etc/apt}

fail() {
  echo "$1" >&2
  exit 1
}

. /etc/os-release
[ "${ID:-}" = debian ] || fail "this system is ${ID:-unknown}, not Debian"
[ -n "${VERSION_CODENAME:-}" ] || fail "/etc/os-release names no release"

# Prints "<uri> <keyring>" of the first enabled binary source of this release's own suite; the keyring may be empty.
# Both formats: stanzas of "Field: value" (deb822), and lines "deb [option=value ...] uri suite component ...".
find_source() {
  for file in "$etc"/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    # An empty line after each file ends its last stanza.
    { cat "$file"; echo; }
  done | awk -v codename="$VERSION_CODENAME" '
    function has(list, word) { return (" " list " ") ~ ("[ \t]" word "[ \t]") }
    function flush() {
      if (has(f["types"], "deb") && has(f["suites"], codename) && has(f["components"], "main") &&
          tolower(f["enabled"]) !~ /^[ \t]*(no|false|0)/) {
        split(f["uris"], uri, " "); split(f["signed-by"], key, " ")
        print uri[1], (key[1] ~ /^\// ? key[1] : "")
      }
      split("", f); field = ""
    }
    /^#/ { next }
    /^[ \t]*$/ { flush(); next }
    /^[ \t]/ { f[field] = f[field] " " $0; next }
    { field = tolower($0); sub(/:.*/, "", field); value = $0; sub(/^[^:]*:/, "", value); f[field] = value }'
  cat "$etc"/sources.list "$etc"/sources.list.d/*.list 2>/dev/null | awk -v codename="$VERSION_CODENAME" '
    $1 == "deb" {
      key = ""
      if (match($0, /\[[^]]*\]/)) {
        options = substr($0, RSTART + 1, RLENGTH - 2)
        $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
        if (match(options, /signed-by=\/[^ ,]*/)) key = substr(options, RSTART + 10, RLENGTH - 10)
      }
      if ($3 == codename && (" " $0 " ") ~ / main /) print $2, key
    }'
}

source_line=$(find_source | head -n 1)
[ -n "$source_line" ] || fail "no package source of $VERSION_CODENAME main in $etc"
uri=${source_line%% *}
keyring=${source_line#* }

work=$folder/apt
rm -rf "$work"
mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial"
trap 'rm -rf "$work"' EXIT
{
  echo "Types: deb"
  echo "URIs: $uri"
  echo "Suites: $suite"
  echo "Components: $components"
  [ -z "$keyring" ] || echo "Signed-By: $keyring"
} >"$work/sources/$suite.sources"

cat >"$work/apt.conf" <<CONFIG
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/sources";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
CONFIG
# As root apt would drop to a user that may not read this folder.
[ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$work/apt.conf"
export APT_CONFIG="$work/apt.conf"

cd "$work"
apt-get -q --error-on=any update || fail "apt-get update of $suite failed (no network, or its key is not known)"
# shellcheck disable=SC2086  # a list
apt-get -q download $packages || fail "apt-get download $packages from $suite failed"
rm -rf "$folder/unpacked"
for package in $packages; do
  dpkg -x ./"$package"_*.deb "$folder/unpacked" || fail "dpkg -x $package failed"
done
