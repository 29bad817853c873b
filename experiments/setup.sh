# setup.sh - what experiments/quickstart and tests/run share; sourced, not run.
#
# Brings a Debian 12 machine to where byolab builds: packages from apt-get, and oneDNN from the system where CMake finds
# version 3.2 or newer, else from its wheel, kept in build/onednn. Says what it installs and why; silent when nothing is missing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
log=$root/build/setup.log
onednn=$root/build/onednn # shared by every build folder
mkdir -p "$root/build"
: >"$log"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Runs a command quietly; when it fails, shows how its output ended and what it was for.
quietly() {
    local purpose=$1
    shift
    "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "" "Failed: $purpose. All of the output is in $log."; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages "PACKAGE: what it is for" ...
install_packages() {
    command -v dpkg-query >/dev/null || return 0 # no Debian: CMake says what it misses
    local line package names=()
    for line in "$@"; do
        package=${line%%:*}
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] && continue
        [ ${#names[@]} -gt 0 ] || echo "Installing through apt-get:"
        printf '  %-16s%s\n' "$package" "${line#*: }"
        names+=("$package")
    done
    [ ${#names[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        fail "These packages need an administrator. As root, run:" "  apt-get install ${names[*]}" "and then this script again."
    local get=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    quietly "apt-get update" as_root "${get[@]}" update
    quietly "apt-get install ${names[*]}" as_root "${get[@]}" install -y --no-install-recommends "${names[@]}"
}

install_needed_packages() {
    install_packages \
        "build-essential: compiler" \
        "cmake: build system" \
        "pkg-config: finds the libraries" \
        "libhdf5-dev: run files" \
        "libcsv-dev: tables" \
        "libfyaml-dev: experiment files" \
        "libspng-dev: PNG sheets of views" \
        "liblapacke-dev: spectra" \
        "gnuplot-nox: plots" \
        "python3-venv: fetches oneDNN where the system has none" \
        "$@"
}

# The wheel holds the library, its headers and its CMake package, and needs no Python to run.
install_onednn() {
    [ -e "$onednn/lib/cmake/dnnl/dnnl-config.cmake" ] && return
    echo "Installing oneDNN 3.2 (the CPU backend's kernels) from its wheel into ${onednn#"$root/"}: no dnnl >= 3.2 in the system"
    quietly "python3 -m venv $onednn" python3 -m venv --clear "$onednn"
    quietly "pip install onednn-devel-cpu-gomp (or install oneDNN >= 3.2 yourself and set dnnl_DIR)" \
        "$onednn/bin/pip" install --quiet onednn-devel-cpu-gomp==2023.2.0
}

# build FOLDER CMAKE-OPTION...: configures and builds. Warnings and errors show, progress goes to the log.
build() {
    local folder=$root/$1
    shift
    quietly "configuring $folder" cmake -S "$root" -B "$folder" "$@"
    if grep -q '^dnnl_DIR:PATH=.*-NOTFOUND$' "$folder/CMakeCache.txt"; then
        install_onednn
        quietly "configuring $folder" cmake -Ddnnl_DIR="$onednn/lib/cmake/dnnl" "$folder"
    fi
    cmake --build "$folder" -j "$(nproc)" 2>&1 >>"$log" | tee -a "$log" >&2 ||
        fail "" "Failed: building $folder. All of the output is in $log."
}
