#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that this project needs and that are missing; prints them, and prints what
# to do without the rights to install. Called by the Makefile.
set -euo pipefail
umask 022  # files that the package manager writes must be readable by its own users

packages=(
  python3-venv python3-dev                 # the virtual environment; headers for packages that compile
  sox libsox-fmt-all                       # audio conversion, with its formats
  espeak-ng festival festival-hi festvox-hi-nsk        # the demo's voices
  cmake g++ libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev  # KenLM's lmplz
  zlib1g-dev libbz2-dev liblzma-dev        # and what it reads
  sctk                                     # NIST's sclite and sc_stats, which the tests of the scorer compare with
)

if ! command -v apt-get >/dev/null; then
  echo "apt-get: not found; install the equivalents of these Debian packages: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "Please have an administrator run, then try again:" >&2
    echo "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing system packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
