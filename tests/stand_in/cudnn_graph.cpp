// cudnn_graph.cpp - tensors and operations read from their descriptors, and a graph's operations in the order of their data.

#include "cudnn_stand_in.h"

#include <set>

namespace stand_in {

size_t size_of(cudnnDataType_t type) {
    switch (type) {
    case CUDNN_DATA_FLOAT: return 4;
    case CUDNN_DATA_BFLOAT16: return 2;
    case CUDNN_DATA_INT8:
    case CUDNN_DATA_BOOLEAN: return 1;
    default: return 0; // not known here
    }
}

int64_t Tensor::count() const {
    int64_t product = 1;
    for (const int64_t dim : dims) product *= dim;
    return product;
}

int64_t Tensor::extent() const {
    int64_t last = 0;
    for (size_t i = 0; i < dims.size(); i++) last += (dims[i] - 1) * strides[i];
    return (last + 1) * (int64_t)size_of(type);
}

bool Tensor::operator==(const Tensor &other) const {
    return id == other.id && type == other.type && dims == other.dims && strides == other.strides && alignment == other.alignment &&
           is_virtual == other.is_virtual && is_by_value == other.is_by_value;
}

Tensor tensor_of(const Descriptor &descriptor) {
    Tensor tensor;
    const int64_t *dims = descriptor.values<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), *strides = descriptor.values<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    tensor.id = descriptor.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, 0);
    tensor.type = descriptor.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT);
    tensor.dims.assign(dims, dims + descriptor.at(CUDNN_ATTR_TENSOR_DIMENSIONS).count);
    tensor.strides.assign(strides, strides + descriptor.at(CUDNN_ATTR_TENSOR_STRIDES).count);
    tensor.alignment = descriptor.value<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1);
    tensor.is_virtual = descriptor.value<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL, false);
    tensor.is_by_value = descriptor.value<bool>(CUDNN_ATTR_TENSOR_IS_BY_VALUE, false);
    return tensor;
}

bool is_operation(cudnnBackendDescriptorType_t type) {
    switch (type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: return true;
    default: return false;
    }
}

static bool is_result(int name) {
    switch (name) {
    case CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX:
    case CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW:
    case CUDNN_ATTR_OPERATION_POINTWISE_YDESC:
    case CUDNN_ATTR_OPERATION_POINTWISE_DXDESC:
    case CUDNN_ATTR_OPERATION_NORM_FWD_YDESC:
    case CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC: // of training: inference has no engine here
    case CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC:
    case CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC:
    case CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC:
    case CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC:
    case CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC:
    case CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC:
    case CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC:
    case CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC:
    case CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC:
    case CUDNN_ATTR_OPERATION_MATMUL_CDESC: return true;
    default: return false;
    }
}

cudnnPointwiseMode_t Operation::mode() const {
    return descriptor->child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)->value(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY);
}

Operation operation_of(const Shared &descriptor) {
    Operation operation{descriptor->type, descriptor, {}, {}};
    for (const auto &[name, attribute] : descriptor->attributes)
        for (const Shared &child : attribute.children)
            if (child->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR) (is_result(name) ? operation.outputs : operation.inputs)[name] = tensor_of(*child);
    return operation;
}

bool operations_of(const Descriptor &graph, std::vector<Operation> &operations, std::string &why) {
    std::vector<Operation> waiting;
    std::map<int64_t, Tensor> tensors;
    std::set<int64_t> unwritten;
    for (const Shared &descriptor : graph.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).children) waiting.push_back(operation_of(descriptor));
    for (const Operation &operation : waiting) {
        for (const auto *side : {&operation.inputs, &operation.outputs})
            for (const auto &[name, tensor] : *side)
                if (!(tensors.emplace(tensor.id, tensor).first->second == tensor)) {
                    why = "two tensors share the unique id " + std::to_string(tensor.id);
                    return false;
                }
        for (const auto &[name, tensor] : operation.outputs)
            if (!unwritten.insert(tensor.id).second) {
                why = "two operations write tensor " + std::to_string(tensor.id);
                return false;
            }
    }
    for (const auto &[id, tensor] : tensors)
        if (tensor.is_virtual && !unwritten.count(id)) {
            why = "nothing writes the virtual tensor " + std::to_string(id);
            return false;
        }
    operations.clear();
    while (!waiting.empty()) {
        size_t i = 0;
        for (; i < waiting.size(); i++) {
            bool is_ready = true;
            for (const auto &[name, tensor] : waiting[i].inputs) is_ready &= !unwritten.count(tensor.id);
            if (is_ready) break;
        }
        if (i == waiting.size()) {
            why = "the operations wait for each other's results";
            return false;
        }
        for (const auto &[name, tensor] : waiting[i].outputs) unwritten.erase(tensor.id);
        operations.push_back(waiting[i]);
        waiting.erase(waiting.begin() + (ptrdiff_t)i);
    }
    return true;
}

} // namespace stand_in
