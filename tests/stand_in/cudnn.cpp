// cudnn.cpp - the exported calls: handles, descriptors by handle, the thread's last error, the log.

#include "cudnn_stand_in.h"

#include <unistd.h>

#include <cstring>
#include <mutex>

using namespace stand_in;

namespace {

std::mutex lock;
std::map<cudnnBackendDescriptor_t, Shared> living;
thread_local std::string last_error;
unsigned callback_mask;
void *callback_data;
cudnnCallback_t callback;

// cuDNN names the expression of its own source that failed; the stand-in says what was wrong.
cudnnStatus_t null_pointer(const char *what) { return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, std::string("nullptr == ") + what); }

cudnnStatus_t set_children(Descriptor &of, const Rule &rule, int64_t count, const void *elements) {
    Attribute attribute{rule.type, count, {}, {}};
    for (int64_t i = 0; i < count; i++) {
        const Shared child = find(static_cast<const cudnnBackendDescriptor_t *>(elements)[i]);
        if (!child) return fail(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(rule.name) + " points to no living descriptor");
        if (rule.child >= 0 ? child->type != rule.child : !is_operation(child->type))
            return fail(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(rule.name) + " cannot hold a descriptor of type " + std::to_string(child->type));
        attribute.children.push_back(child);
    }
    of.attributes[rule.name] = attribute;
    return CUDNN_STATUS_SUCCESS;
}

// The caller made descriptors of the right type; they become what is asked for.
cudnnStatus_t get_children(const std::vector<Shared> &children, int64_t room, int64_t *count, void *elements) {
    const int64_t found = (int64_t)children.size();
    if (!elements || room == 0) {
        if (count) *count = found;
        return CUDNN_STATUS_SUCCESS;
    }
    int64_t filled = 0;
    for (; filled < room && filled < found; filled++) {
        const Shared into = find(static_cast<cudnnBackendDescriptor_t *>(elements)[filled]);
        if (!into || into->type != children[filled]->type) return fail(CUDNN_STATUS_BAD_PARAM, "the array holds no descriptors of the type asked for");
        *into = *children[filled];
    }
    if (count) *count = filled;
    return CUDNN_STATUS_SUCCESS;
}

} // namespace

namespace stand_in {

Shared find(cudnnBackendDescriptor_t handle) {
    const std::lock_guard<std::mutex> guard(lock);
    const auto found = living.find(handle);
    return found == living.end() ? nullptr : found->second;
}

cudnnStatus_t fail(cudnnStatus_t status, const std::string &why) {
    last_error = why;
    return status;
}

void log_refusal(const std::string &status, const std::string &why) {
    if (!callback || !(callback_mask & CUDNN_SEV_WARNING_EN)) return;
    // Lines end in '\0', an empty one comes last.
    const std::string lines[] = {
        "CuDNN (v91900 56) function cudnnBackendGetAttribute_CUDNN_ATTR_ENGINEHEUR_RESULTS_engine_config_support_checks() called:",
        "    Warning: No viable engine configs among (1) heuristics result(s). ",
        "    === error stack (1/1) ===",
        "    engineConfig: type=json; val={\"engineId\":0,\"smVersion\":900,\"knobChoices\":{}};",
        "    Warning: CUDNN_STATUS_" + status + "; Reason: " + why,
        "    Warning: CUDNN_STATUS_" + status + "; Reason: ptr->isSupported()",
        "    Warning: CUDNN_STATUS_" + status + "; Reason: finalize_internal()",
        "Process=" + std::to_string(getpid()) + "; GPU=NULL; Handle=NULL; StreamId=NULL.",
    };
    std::string message;
    for (const std::string &line : lines) message.append(line.c_str(), line.size() + 1);
    cudnnDebug_t debug{};
    debug.cudnn_version = 91900;
    callback(CUDNN_SEV_WARNING, callback_data, &debug, message.c_str());
}

} // namespace stand_in

extern "C" {

size_t cudnnGetVersion(void) { return 91900; }
size_t cudnnGetCudartVersion(void) { return CUDART_VERSION; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER: return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER: return "CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER";
    case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED: return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    case CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE: return "CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE";
    default: break;
    }
    switch (CUDNN_STATUS_CATEGORY(status)) {
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR: return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "unknown status";
    }
}

void cudnnGetLastErrorString(char *message, size_t max_size) {
    if (message && max_size) snprintf(message, max_size, "%s", last_error.c_str());
    last_error.clear();
}

cudnnStatus_t cudnnSetCallback(unsigned mask, void *udata, cudnnCallback_t function) {
    callback_mask = mask;
    callback_data = udata;
    callback = function;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    if (!handle) return null_pointer("handle");
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return fail(CUDNN_STATUS_NOT_INITIALIZED, "cudaGetDeviceCount(&count) != cudaSuccess");
    *handle = new cudnnContext;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    if (!handle) return null_pointer("handle");
    delete handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    if (!handle) return null_pointer("handle");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream) {
    if (!handle || !stream) return null_pointer("handle");
    *stream = handle->stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor) {
    if (!descriptor) return null_pointer("descriptor");
    if (!is_known(type)) return fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in has no descriptors of type " + std::to_string(type));
    auto made = std::make_shared<Descriptor>();
    made->type = type;
    *descriptor = made.get();
    const std::lock_guard<std::mutex> guard(lock);
    living[*descriptor] = made;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    if (!descriptor) return null_pointer("descriptor");
    const std::lock_guard<std::mutex> guard(lock);
    if (!living.erase(descriptor)) return fail(CUDNN_STATUS_BAD_PARAM, "no such descriptor: destroyed before?");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       int64_t count, const void *elements) {
    if (!descriptor) return null_pointer("descriptor");
    const Shared of = find(descriptor);
    if (!of) return fail(CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    if (of->is_finalized) return fail(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalised");
    const Rule *rule = rule_of(*of, name);
    if (!rule) return fail(CUDNN_STATUS_BAD_PARAM, "descriptors of type " + std::to_string(of->type) + " have no attribute " + std::to_string(name));
    if (type != rule->type) return fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, std::to_string(rule->type) + " != attrType, of attribute " + std::to_string(name));
    if (!elements || count < 1) return fail(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " set to nothing");
    if (count > rule->most) return fail(CUDNN_STATUS_BAD_PARAM, std::to_string(rule->most) + " != elemCount, of attribute " + std::to_string(name));
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) return set_children(*of, *rule, count, elements);
    const auto *bytes = static_cast<const unsigned char *>(elements);
    of->attributes[name] = {type, count, {bytes, bytes + (size_t)count * element_size(type)}, {}};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       int64_t room, int64_t *count, void *elements) {
    if (!descriptor) return null_pointer("descriptor");
    const Shared of = find(descriptor);
    if (!of) return fail(CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    const Rule *rule = rule_of(*of, name);
    if (!rule) return fail(CUDNN_STATUS_BAD_PARAM, "descriptors of type " + std::to_string(of->type) + " have no attribute " + std::to_string(name));
    if (type != rule->type) return fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, std::to_string(rule->type) + " != attrType, of attribute " + std::to_string(name));
    if (!of->is_finalized) return fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "the descriptor is not finalised");
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS) return get_children(suggestions(*of), room, count, elements);
    if (!of->has(name)) {
        if (count) *count = 0;
        return CUDNN_STATUS_SUCCESS;
    }
    const Attribute &attribute = of->at(name);
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) return get_children(attribute.children, room, count, elements);
    const int64_t given = elements && room < attribute.count ? room : attribute.count;
    if (count) *count = !elements || room == 0 ? attribute.count : given;
    if (elements) memcpy(elements, attribute.bytes.data(), (size_t)given * element_size(type));
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    if (!descriptor) return null_pointer("descriptor");
    const Shared of = find(descriptor);
    if (!of) return fail(CUDNN_STATUS_BAD_PARAM, "no such descriptor");
    if (of->is_finalized) return fail(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalised");
    const cudnnStatus_t status = finalize(*of);
    of->is_finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

} // extern "C"
