#!/bin/sh
# Builds KenLM's `lmplz` (n-gram estimation) and `build_binary`, static, from the pinned source package, into the
# environment's bin folder. `pip install kenlm` brings the Python reader only, hence this.
#
# usage: scripts/build_kenlm.sh [PYTHON]     PYTHON: interpreter of the environment (default: .venv/bin/python)
# No root needed. Does nothing where both tools are there and run. About a minute on 2 cores.
set -eu

KENLM=kenlm==0.3.0 # the same version as in constraints.txt
MAX_ORDER=10       # longest n-gram that the tools accept
PACKAGES="cmake make g++ libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev \
zlib1g-dev libbz2-dev liblzma-dev"

fail() {
    echo "error: $1" >&2
    exit 1
}

runs() { # status 0 if the tool is there and starts on this machine
    [ -x "$bin/$1" ] || return 1
    "$bin/$1" --help >/dev/null 2>&1
    [ $? -lt 126 ] # both print their usage and exit 1 or 2; 126, 127 and signals mean that they cannot run
}

require_compiler() {
    for tool in cmake make g++ tar; do
        command -v "$tool" >/dev/null || fail "$tool not found; install it with: sudo apt-get install -y $PACKAGES"
    done
    printf '#include <boost/program_options.hpp>\n#include <boost/thread.hpp>\n#include <zlib.h>\n' |
        g++ -x c++ -fsyntax-only - 2>/dev/null ||
        fail "headers of Boost or zlib not found; install them with: sudo apt-get install -y $PACKAGES"
}

root=$(cd "$(dirname "$0")/.." && pwd)
python=${1:-$root/.venv/bin/python}
command -v "$python" >/dev/null || fail "no interpreter at $python; make the environment first: make setup"
bin=$("$python" -c 'import os, sys; print(os.path.join(sys.prefix, "bin"))')

if runs lmplz && runs build_binary; then
    echo "KenLM's tools are there: $bin/lmplz $bin/build_binary"
    exit 0
fi
require_compiler

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
echo "Building lmplz and build_binary from $KENLM …"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary kenlm --dest "$work" "$KENLM" ||
    fail "could not download the source package of $KENLM (see pip's message above)"
mkdir "$work/source" "$work/build"
tar -xzf "$work"/kenlm-*.tar.gz -C "$work/source" --strip-components=1

log=$work/build.log
if ! {
    cmake -S "$work/source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DKENLM_MAX_ORDER=$MAX_ORDER \
        -DFORCE_STATIC=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5 &&
        cmake --build "$work/build" --parallel 2 --target lmplz build_binary
} >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "KenLM did not build (last lines above); are these installed? $PACKAGES"
fi
for tool in lmplz build_binary; do # written beside the target and renamed, so that no half a tool is ever found
    cp "$work/build/bin/$tool" "$bin/.$tool.new"
    mv "$bin/.$tool.new" "$bin/$tool"
    runs "$tool" || fail "$bin/$tool was built but does not run on this machine"
done
echo "Built $bin/lmplz $bin/build_binary"
