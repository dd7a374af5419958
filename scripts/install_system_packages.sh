#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that are missing; prints them, and prints what to do without the rights to
# install. Called by the Makefile:
#   install_system_packages.sh         what every command of the project needs; without them it fails
#   install_system_packages.sh tests   what some tests need; without one of them it says so, and those tests are skipped
set -euo pipefail
umask 022  # files that the package manager writes must be readable by its own users

packages=(
  python3-venv python3-dev                 # the virtual environment; headers for packages that compile
  sox libsox-fmt-all                       # audio conversion, with its formats
  espeak-ng festival festival-hi festvox-hi-nsk        # the demo's voices
  cmake g++ libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev  # KenLM's lmplz
  zlib1g-dev libbz2-dev liblzma-dev        # and what it reads
)
needed=true
if [ "${1:-}" = tests ]; then
  needed=false
  packages=(
    sctk                                   # NIST's sclite and sc_stats, which the tests of the scorer compare with
    fonts-lohit-deva                       # letters for the pages that the tests look at
  )
  # Any of these browsers will do. Ubuntu's own package needs snapd; its images for workflows have google-chrome.
  command -v chromium chromium-browser google-chrome >/dev/null || packages+=(chromium)
elif [ $# -gt 0 ]; then
  echo "$1: expected tests, or nothing; change the argument" >&2
  exit 2
fi

leave() {  # without the packages: an error, unless only some tests need them
  if $needed; then exit "$1"; fi
  echo "The tests that need them are skipped." >&2
  exit 0
}

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
    leave 1
  fi
  as_root=(sudo)
fi

install() { "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

echo "Installing system packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if $needed; then
  "${as_root[@]}" apt-get update -qq
  install "${missing[@]}"
  exit
fi
"${as_root[@]}" apt-get update -qq || true  # what can be had is installed, each package for itself
for package in "${missing[@]}"; do
  install "$package" || { echo "$package: apt-get could not install it" >&2; failed=yes; }
done
[ -z "${failed:-}" ] || leave 1
