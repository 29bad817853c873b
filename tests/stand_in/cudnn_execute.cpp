// cudnn_execute.cpp - a plan and pointers become work on a stream. What can be known at the call is checked there; values of the host are
// copied then; everything else happens when the stream gets to it.

#include "cudnn_stand_in.h"
#include "stream.h"

#include <atomic>
#include <cmath>
#include <cstring>

namespace stand_in {

namespace {

// A mask's layout is cuDNN's own business; nobody else may read or write one, and here nobody can.
constexpr unsigned char SCRAMBLE = 0xA5;

struct Bound { // a tensor of device memory
    Tensor tensor;
    unsigned char *data;
    bool is_read, is_written;
};

struct Call {
    std::vector<Operation> operations;
    std::vector<Bound> bound;
    Memory constants;
    Engine engine;
    unsigned char *workspace;
};

// visit(offset in elements, position in the order of dims)
template <typename Visit> void each_element(const Tensor &tensor, Visit visit) {
    const size_t rank = tensor.dims.size();
    std::vector<int64_t> at(rank, 0);
    int64_t offset = 0;
    for (int64_t i = 0, count = tensor.count(); i < count; i++) {
        visit(offset, (size_t)i);
        for (size_t k = rank; k-- > 0;) {
            offset += tensor.strides[k];
            if (++at[k] < tensor.dims[k]) break;
            offset -= at[k] * tensor.strides[k];
            at[k] = 0;
        }
    }
}

double load(const unsigned char *data, cudnnDataType_t type, int64_t i) {
    if (type == CUDNN_DATA_FLOAT) {
        float value;
        memcpy(&value, data + 4 * i, 4);
        return value;
    }
    if (type == CUDNN_DATA_BFLOAT16) {
        uint16_t half;
        memcpy(&half, data + 2 * i, 2);
        const uint32_t bits = (uint32_t)half << 16;
        float value;
        memcpy(&value, &bits, 4);
        return value;
    }
    if (type == CUDNN_DATA_INT8) return (int8_t)data[i];
    const unsigned char flag = data[i] ^ SCRAMBLE;
    return flag <= 1 ? flag : NAN; // no mask that this library wrote
}

// The value is one of the type already. `nudge` moves it by so many last places.
void store(unsigned char *data, cudnnDataType_t type, int64_t i, double value, int nudge) {
    if (type == CUDNN_DATA_INT8) data[i] = (unsigned char)(int8_t)value;
    else if (type == CUDNN_DATA_BOOLEAN) data[i] = (unsigned char)((value != 0) ^ SCRAMBLE);
    else {
        const float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, 4);
        if (nudge && std::isfinite(narrow) && narrow != 0) bits += (uint32_t)nudge << (type == CUDNN_DATA_BFLOAT16 ? 16 : 0);
        const uint16_t half = (uint16_t)(bits >> 16);
        if (type == CUDNN_DATA_BFLOAT16) memcpy(data + 2 * i, &half, 2);
        else memcpy(data + 4 * i, &bits, 4);
    }
}

void execute(const Call &call) {
    static std::atomic<uint32_t> runs{0};
    const uint32_t run_number = ++runs;
    for (const Bound &one : call.bound)
        if (!stand_in_is_device(one.data, (size_t)one.tensor.extent())) return stand_in_fail(cudaErrorIllegalAddress); // freed since the call
    if (!stand_in_is_device(call.workspace, (size_t)call.engine.workspace)) return stand_in_fail(cudaErrorIllegalAddress);
    memset(call.workspace, 0xFF, (size_t)call.engine.workspace); // NaN in either type: data that lies here is lost, as it may be on a GPU
    Memory memory = call.constants;
    for (const Bound &one : call.bound) {
        if (!one.is_read) continue;
        Values values((size_t)one.tensor.count());
        each_element(one.tensor, [&](int64_t offset, size_t i) { values[i] = load(one.data, one.tensor.type, offset); });
        memory[one.tensor.id] = std::move(values);
    }
    for (const Operation &operation : call.operations) run(operation, memory, call.engine.has_tensor_cores);
    for (const Bound &one : call.bound) {
        if (!one.is_written) continue;
        const Values &values = memory.at(one.tensor.id);
        uint32_t noise = run_number * 2654435761u;
        each_element(one.tensor, [&](int64_t offset, size_t i) {
            noise = noise * 1664525u + 1013904223u;
            const int nudge = call.engine.is_deterministic ? 0 : (int)(noise >> 30);
            store(one.data, one.tensor.type, offset, values[i], nudge);
        });
    }
}

bool overlap(const unsigned char *a, int64_t a_bytes, const unsigned char *b, int64_t b_bytes) { return a < b + b_bytes && b < a + a_bytes; }

cudnnStatus_t check_overlaps(const Call &call) {
    for (const Bound &one : call.bound) {
        if (overlap(one.data, one.tensor.extent(), call.workspace, call.engine.workspace))
            return fail(CUDNN_STATUS_EXECUTION_FAILED, "the workspace overlaps tensor " + std::to_string(one.tensor.id));
        for (const Bound &other : call.bound)
            if (&one != &other && one.is_written && overlap(one.data, one.tensor.extent(), other.data, other.tensor.extent()))
                return fail(CUDNN_STATUS_EXECUTION_FAILED, "tensor " + std::to_string(one.tensor.id) + ", which is written, overlaps tensor " + std::to_string(other.tensor.id));
    }
    return CUDNN_STATUS_SUCCESS;
}

// beta != 0: what was there counts.
bool reads_its_result(const Operation &operation) {
    const Descriptor &of = *operation.descriptor;
    return of.value(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f) != 0 || of.value(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f) != 0 ||
           of.value(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f) != 0;
}

cudnnStatus_t bind(const Descriptor &pack, Call &call) {
    std::map<int64_t, unsigned char *> pointers;
    const int64_t count = pack.has(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) ? pack.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count : 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t id = pack.values<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)[i];
        if (!pointers.emplace(id, pack.values<unsigned char *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)[i]).second)
            return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "the pack names tensor " + std::to_string(id) + " twice");
    }
    std::map<int64_t, Bound> bound;
    for (const Operation &operation : call.operations)
        for (const bool is_result : {false, true})
            for (const auto &[name, tensor] : is_result ? operation.outputs : operation.inputs) {
                if (tensor.is_virtual) continue;
                const std::string named = "tensor " + std::to_string(tensor.id);
                const auto found = pointers.find(tensor.id);
                if (found == pointers.end() || !found->second) return fail(CUDNN_STATUS_BAD_PARAM, "the pack has no pointer for " + named);
                if ((uintptr_t)found->second % (uintptr_t)(tensor.is_by_value ? size_of(tensor.type) : (size_t)tensor.alignment))
                    return fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, named + " is not aligned to " + std::to_string(tensor.alignment) + " bytes");
                if (tensor.is_by_value) {
                    call.constants[tensor.id] = {load(found->second, tensor.type, 0)};
                    continue;
                }
                if (!stand_in_is_device(found->second, (size_t)tensor.extent()))
                    return fail(CUDNN_STATUS_EXECUTION_FAILED, named + " does not lie in device memory as a whole (" + std::to_string(tensor.extent()) + " bytes)");
                Bound &one = bound.emplace(tensor.id, Bound{tensor, found->second, false, false}).first->second;
                if (is_result) one.is_written = true;
                // What an operation of the graph wrote is read from there; what it adds to, from memory.
                if (is_result ? reads_its_result(operation) : !one.is_written) one.is_read = true;
            }
    for (const auto &[id, one] : bound) call.bound.push_back(one);
    return CUDNN_STATUS_SUCCESS;
}

} // namespace

} // namespace stand_in

using namespace stand_in;

extern "C" cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_handle, cudnnBackendDescriptor_t pack_handle) {
    if (!handle) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "nullptr == handle");
    const Shared plan = find(plan_handle), pack = find(pack_handle);
    if (!plan || plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || !pack || pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return fail(CUDNN_STATUS_BAD_PARAM, "not an execution plan and a variant pack");
    if (!plan->is_finalized || !pack->is_finalized) return fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "the plan or the pack is not finalised");
    const Descriptor &engine = *plan->child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->child(CUDNN_ATTR_ENGINECFG_ENGINE);
    const Descriptor &graph = *engine.child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    const auto call = std::make_shared<Call>();
    std::string why;
    if (!operations_of(graph, call->operations, why) || !engine_by_number(graph, engine.value<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1), call->engine))
        return fail(CUDNN_STATUS_INTERNAL_ERROR, why);
    cudnnStatus_t status = bind(*pack, *call);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    call->workspace = pack->value<unsigned char *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, nullptr);
    if ((uintptr_t)call->workspace % 16) return fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "the workspace is not aligned to 16 bytes");
    if (!call->workspace || !stand_in_is_device(call->workspace, (size_t)call->engine.workspace))
        return fail(CUDNN_STATUS_BAD_PARAM, "the workspace is not " + std::to_string(call->engine.workspace) + " bytes of device memory");
    status = check_overlaps(*call);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    stand_in_submit(handle->stream, [call] { execute(*call); });
    return CUDNN_STATUS_SUCCESS;
}
