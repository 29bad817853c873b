# shellcheck shell=bash
# gpu_libraries.sh - where this machine keeps what byolab needs of CUDA and cuDNN; sourced, not run.
#
# In order: what the loader finds by itself, a CUDA toolkit ($CUDA_HOME, /usr/local/cuda), NVIDIA's packages of Python (those that
# PyTorch brings; of $BYOLAB_PYTHON, or python3).

# The folders that hold NVIDIA's libraries among a Python's packages.
python_folders() {
    "${BYOLAB_PYTHON:-python3}" -c 'import glob, site, sys
for path in dict.fromkeys(sys.path + [site.getusersitepackages()]):
    print("\n".join(glob.glob(path + "/nvidia/*/lib")))' 2>/dev/null || true
}

# cuda_folders: what is missing in the loader's own list, as PATH:PATH; libraries that are nowhere are left to the loader's message.
cuda_folders() {
    local known name folder found candidates=() path=
    known=$(/sbin/ldconfig -p 2>/dev/null || true)
    for name in libcudart.so.13 libcublas.so.13 libcublasLt.so.13 libnvrtc.so.13 libcudnn.so.9; do
        [[ $known != *"$name "* ]] || continue
        [ ${#candidates[@]} -gt 0 ] ||
            mapfile -t candidates < <(printf '%s\n' "${CUDA_HOME:-/usr/local/cuda}"/{lib64,lib,targets/x86_64-linux/lib} && python_folders)
        found=
        for folder in "${candidates[@]}"; do
            [ -n "$folder" ] && [ -e "$folder/$name" ] && { found=$folder; break; }
        done
        [[ -z $found || :$path: == *":$found:"* ]] || path=${path:+$path:}$found
    done
    printf '%s' "$path"
}

# library_path PACK: for LD_LIBRARY_PATH of a program of the pack. $BYOLAB_STAND_IN, a folder of libraries that compute on the CPU in
# CUDA's place, goes before all.
library_path() {
    local path=${BYOLAB_STAND_IN:+$BYOLAB_STAND_IN:}$1/lib folders=
    [ -n "${BYOLAB_STAND_IN:-}" ] || folders=$(cuda_folders)
    printf '%s' "$path${folders:+:$folders}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}
