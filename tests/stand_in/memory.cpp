// memory.cpp - the device's memory, pinned memory, and copies between them.
//
// Device memory is mapped apart, with a page behind it that no one may touch, and is open to reading and writing only while queued work
// runs: a host pointer taken for a device pointer, or the reverse, faults here as it would there.

#include "runtime.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <unistd.h>

struct allocation {
    size_t bytes;
    char *mapping; // device: the pages it lies in
    size_t mapped;
    bool is_open;
};

using allocations = std::map<const char *, allocation>; // by address
static allocations device, pinned;
static size_t device_bytes;
static int at_work;

static allocation *holder(allocations &all, const void *data, size_t bytes) {
    const char *at = static_cast<const char *>(data);
    auto next = all.upper_bound(at);
    if (next == all.begin()) return nullptr;
    --next;
    return at + bytes <= next->first + next->second.bytes ? &next->second : nullptr;
}

static bool holds(allocations &all, const void *data, size_t bytes) { return holder(all, data, bytes); }

bool stand_in_is_device(const void *data, size_t bytes) {
    const auto lock = lock_device();
    return holds(device, data, bytes);
}

// Few calls: to change the protection of many pages takes longer than many a test's work on them.
static void set_open(allocation *memory, bool open) {
    if (memory->is_open != open) mprotect(memory->mapping, memory->mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE);
    memory->is_open = open;
}

void open_all_memory() {
    for (auto &each : device) set_open(&each.second, true);
}

static void open_memory_of(const void *data) {
    allocation *memory = holder(device, data, 1);
    if (memory) set_open(memory, true);
}

device_at_work::device_at_work() { at_work++; }

device_at_work::~device_at_work() {
    if (--at_work) return;
    for (auto &each : device) set_open(&each.second, false);
}

// ---- allocation ----

static cudaError_t enter_allocation() {
    const cudaError_t state = device_state();
    return state ? state : unsafe_in_capture();
}

static size_t total_memory() { return claimed_number("BYOLAB_STAND_IN_MEMORY", (size_t)4 << 30); }

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    const auto lock = lock_device();
    const cudaError_t state = device_state();
    if (state) return noted(state);
    *total = total_memory();
    *available = *total > device_bytes ? *total - device_bytes : 0;
    return cudaSuccess;
}

// The end lies against the page that no one may touch, as nearly as the alignment of 256 bytes allows.
cudaError_t cudaMalloc(void **data, size_t bytes) {
    const auto lock = lock_device();
    const cudaError_t state = enter_allocation();
    if (state) return noted(state);
    *data = nullptr;
    if (!bytes) return cudaSuccess;
    if (bytes > total_memory() || device_bytes > total_memory() - bytes) return noted(cudaErrorMemoryAllocation);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (bytes + 255) / 256 * 256, mapped = (rounded + page - 1) / page * page;
    void *mapping = mmap(nullptr, mapped + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return noted(cudaErrorMemoryAllocation);
    char *pages = static_cast<char *>(mapping), *first = pages + mapped - rounded;
    allocation *memory = &(device[first] = {bytes, pages, mapped, false});
    device_bytes += bytes;
    set_open(memory, true);
    memset(first, 0xFF, bytes); // a NaN in every type: what is read before it is written shows
    set_open(memory, false);
    ASAN_POISON_MEMORY_REGION(first + bytes, rounded - bytes);
    *data = first;
    return cudaSuccess;
}

cudaError_t cudaFree(void *data) {
    const auto lock = lock_device();
    const cudaError_t state = enter_allocation();
    if (state || !data) return noted(state);
    const auto found = device.find(static_cast<char *>(data));
    if (found == device.end()) return noted(cudaErrorInvalidValue);
    run_everything();
    const allocation freed = found->second;
    ASAN_UNPOISON_MEMORY_REGION(freed.mapping, freed.mapped);
    munmap(freed.mapping, freed.mapped + (size_t)sysconf(_SC_PAGESIZE));
    device_bytes -= freed.bytes;
    device.erase(found);
    return noted(asynchronous_error());
}

cudaError_t cudaHostAlloc(void **data, size_t bytes, unsigned) {
    const auto lock = lock_device();
    const cudaError_t state = enter_allocation();
    if (state) return noted(state);
    *data = nullptr;
    if (!bytes) return cudaSuccess;
    if (posix_memalign(data, 256, bytes)) return noted(cudaErrorMemoryAllocation);
    memset(*data, 0xFF, bytes);
    pinned[static_cast<char *>(*data)] = {bytes, nullptr, 0, true};
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **data, size_t bytes) { return cudaHostAlloc(data, bytes, cudaHostAllocDefault); }

cudaError_t cudaFreeHost(void *data) {
    const auto lock = lock_device();
    const cudaError_t state = enter_allocation();
    if (state || !data) return noted(state);
    if (!pinned.erase(static_cast<char *>(data))) return noted(cudaErrorInvalidValue);
    run_everything();
    free(data);
    return noted(asynchronous_error());
}

// ---- copies ----

static cudaError_t check_device_memory(const char *call, const char *which, const void *data, size_t bytes) {
    if (holds(device, data, bytes)) return cudaSuccess;
    return refused(cudaErrorInvalidValue, "%s: the %s is no live memory of the device over its %zu bytes", call, which, bytes);
}

static cudaError_t check_host_memory(const char *call, const char *which, const void *data, size_t bytes, bool must_be_pinned) {
    const char *at = static_cast<const char *>(data);
    const auto next = device.lower_bound(at);
    if (holds(device, data, 1) || (next != device.end() && next->first < at + bytes))
        return refused(cudaErrorInvalidValue, "%s: the %s is memory of the device, not of the host", call, which);
    if (!must_be_pinned || holds(pinned, data, bytes)) return cudaSuccess;
    return refused(cudaErrorInvalidValue, "%s: the %s is not pinned memory (cudaMallocHost) over its %zu bytes", call, which, bytes);
}

static cudaError_t check_copy(const char *call, const void *dst, const void *src, size_t bytes, cudaMemcpyKind kind, bool is_async) {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidValue;
    const bool to_device = kind == cudaMemcpyDefault ? holds(device, dst, bytes) : kind & 1,
               from_device = kind == cudaMemcpyDefault ? holds(device, src, bytes) : kind & 2;
    const cudaError_t status = to_device ? check_device_memory(call, "destination", dst, bytes)
                                         : check_host_memory(call, "destination", dst, bytes, is_async);
    if (status) return status;
    return from_device ? check_device_memory(call, "source", src, bytes) : check_host_memory(call, "source", src, bytes, is_async);
}

static void copy(void *dst, const void *src, size_t bytes) {
    open_memory_of(dst);
    open_memory_of(src);
    memmove(dst, src, bytes);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const auto lock = lock_device();
    cudaError_t status = device_state();
    if (!status && bytes) status = check_copy("cudaMemcpyAsync", dst, src, bytes, kind, true);
    if (status || !bytes) return noted(status);
    return noted(queued(stream, [=] { copy(dst, src, bytes); }));
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind) {
    const auto lock = lock_device();
    cudaError_t status = enter_allocation();
    if (!status && bytes) status = check_copy("cudaMemcpy", dst, src, bytes, kind, false);
    if (!status && bytes) status = queued(nullptr, [=] { copy(dst, src, bytes); });
    if (status) return noted(status);
    run_all(resolved(nullptr));
    return noted(asynchronous_error());
}

cudaError_t cudaMemsetAsync(void *data, int value, size_t bytes, cudaStream_t stream) {
    const auto lock = lock_device();
    cudaError_t status = device_state();
    if (!status && bytes) status = check_device_memory("cudaMemset", "memory", data, bytes);
    if (status || !bytes) return noted(status);
    return noted(queued(stream, [=] {
        open_memory_of(data);
        memset(data, value, bytes);
    }));
}

cudaError_t cudaMemset(void *data, int value, size_t bytes) { return cudaMemsetAsync(data, value, bytes, nullptr); }
