// cudnn_finalize.cpp - what each descriptor must hold to be finalised, and what is known of it then.

#include "cudnn_stand_in.h"

#include <cstring>

namespace stand_in {

namespace {

cudnnStatus_t bad(const std::string &why) { return fail(CUDNN_STATUS_BAD_PARAM, why); }

cudnnStatus_t finalize_tensor(const Descriptor &of) {
    const Tensor tensor = tensor_of(of);
    if (tensor.dims.size() != tensor.strides.size()) return bad("_nbDims != _nbStrides");
    if (!size_of(tensor.type)) return fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "the stand-in has no data type " + std::to_string(tensor.type));
    for (size_t i = 0; i < tensor.dims.size(); i++)
        if (tensor.dims[i] < 1 || tensor.strides[i] < 1) return bad("a dimension or stride below 1");
    if (tensor.alignment <= 0 || tensor.alignment % (int64_t)size_of(tensor.type)) return bad("(_ptrAlignment <= 0) || _ptrAlignment % sizeofCudnnType(_dataType) != 0");
    if (tensor.is_virtual && tensor.is_by_value) return bad("a tensor that is virtual and by value");
    if (tensor.is_by_value && tensor.count() != 1) return bad("a by-value tensor of more than one element");
    return CUDNN_STATUS_SUCCESS;
}

// Whether `to` is what a window leaves of `from`.
bool fits(int64_t from, int64_t to, int64_t before, int64_t after, int64_t window, int64_t dilation, int64_t stride) {
    const int64_t span = from + before + after - (window - 1) * dilation - 1;
    return span >= 0 && span / stride + 1 == to;
}

cudnnStatus_t finalize_convolution(const Descriptor &of, int desc, int x_name, int w_name, int y_name) {
    const Descriptor &convolution = *of.child(desc);
    const Tensor x = tensor_of(*of.child(x_name)), w = tensor_of(*of.child(w_name)), y = tensor_of(*of.child(y_name));
    const int64_t spatial = convolution.value<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
    if (spatial != 2 || x.dims.size() != 4 || w.dims.size() != 4 || y.dims.size() != 4) return bad("a convolution of two spatial dimensions has tensors of four");
    if (x.dims[0] != y.dims[0]) return bad("xDimA[0] != yDimA[0]");
    if (w.dims[0] != y.dims[1]) return bad("wDimA[0] != yDimA[1]");
    if (x.dims[1] != w.dims[1]) return bad("(0 == wDimA[1]) || (0 == xDimA[1]) || (0 != xDimA[1] % wDimA[1])"); // no grouped convolutions here
    const int64_t *before = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), *after = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    const int64_t *stride = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), *dilation = convolution.values<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
    for (int i = 0; i < 2; i++)
        if (!fits(x.dims[2 + i], y.dims[2 + i], before[i], after[i], w.dims[2 + i], dilation[i], stride[i]))
            return bad("is_valid_spatial_dim(xSpatialDimA[dim], wSpatialDimA[dim], ySpatialDimA[dim], cDesc.getPadLowerA()[dim], cDesc.getPadUpperA()[dim])");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_pointwise(const Descriptor &of) {
    const cudnnPointwiseMode_t mode = of.child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)->value(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY);
    const bool is_backward = mode == CUDNN_POINTWISE_RELU_BWD;
    const bool is_unary = mode == CUDNN_POINTWISE_IDENTITY || mode == CUDNN_POINTWISE_RELU_FWD;
    const int second = is_backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC;
    const int result = is_backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC;
    for (const int name : {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC}) {
        const bool is_wanted = name == result || (!is_unary && name == second);
        if (is_wanted != of.has(name))
            return bad("a pointwise operation of mode " + std::to_string(mode) + (is_wanted ? " needs attribute " : " has no use for attribute ") + std::to_string(name));
    }
    const size_t rank = tensor_of(*of.child(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)).dims.size();
    if (rank != tensor_of(*of.child(result)).dims.size()) return bad("xDesc.getNbDims() != yDesc.getNbDims()");
    if (!is_unary && rank != tensor_of(*of.child(second)).dims.size()) return bad("xDesc.getNbDims() != bDesc.getNbDims()");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_norm(const Descriptor &of, int mode_name, int x_name, const std::vector<int> &images, const std::vector<int> &channels) {
    if (of.value(mode_name, CUDNN_LAYER_NORM) != CUDNN_BATCH_NORM) return fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in has batch norm only");
    const Tensor x = tensor_of(*of.child(x_name));
    if (x.dims.size() != 4) return bad("x has not four dimensions");
    for (const int name : images)
        if (tensor_of(*of.child(name)).dims != x.dims) return bad("the tensor of attribute " + std::to_string(name) + " has not x's dimensions");
    for (const int name : channels)
        if (of.has(name) && tensor_of(*of.child(name)).dims != std::vector<int64_t>{1, x.dims[1], 1, 1})
            return bad("the tensor of attribute " + std::to_string(name) + " is not [1, C, 1, 1]");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_norm_forward(const Descriptor &of) {
    const cudnnStatus_t status = finalize_norm(of, CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, {CUDNN_ATTR_OPERATION_NORM_FWD_YDESC},
        {CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC,
         CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC,
         CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC});
    if (status != CUDNN_STATUS_SUCCESS) return status;
    const bool is_training = of.value(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_INFERENCE) == CUDNN_NORM_FWD_TRAINING;
    if (is_training && !of.has(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC)) return bad("training needs an epsilon");
    int running = 0;
    for (const int name : {CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC,
                           CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC}) running += of.has(name);
    return running == 0 || running == 5 ? CUDNN_STATUS_SUCCESS : bad("running statistics need all five of their tensors");
}

cudnnStatus_t finalize_norm_backward(const Descriptor &of) {
    return finalize_norm(of, CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_ATTR_OPERATION_NORM_BWD_XDESC,
        {CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC},
        {CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC,
         CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC});
}

cudnnStatus_t finalize_window(const Descriptor &of) {
    const int64_t spatial = of.value<int64_t>(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS, 0);
    for (const int name : {CUDNN_ATTR_RESAMPLE_WINDOW_DIMS, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_ATTR_RESAMPLE_POST_PADDINGS, CUDNN_ATTR_RESAMPLE_STRIDES}) {
        if (of.at(name).count != spatial) return bad("attribute " + std::to_string(name) + " has not as many elements as there are spatial dimensions");
        for (int64_t i = 0; i < spatial; i++)
            if (of.values<cudnnFraction_t>(name)[i].denominator != 1) return bad("the stand-in pools with whole numbers only");
    }
    const cudnnResampleMode_t mode = of.value(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_RESAMPLE_NEAREST);
    const cudnnPaddingMode_t padding = of.value(CUDNN_ATTR_RESAMPLE_PADDING_MODE, CUDNN_EDGE_VAL_PAD);
    if (mode == CUDNN_RESAMPLE_MAXPOOL) return padding == CUDNN_NEG_INF_PAD ? CUDNN_STATUS_SUCCESS : bad("max pooling pads with minus infinity");
    if (mode != CUDNN_RESAMPLE_AVGPOOL_INCLUDE_PADDING) return fail(CUDNN_STATUS_NOT_SUPPORTED, "the stand-in pools by maximum, or average including padding");
    return padding == CUDNN_ZERO_PAD ? CUDNN_STATUS_SUCCESS : bad("average pooling pads with zeros");
}

cudnnStatus_t finalize_resample(const Descriptor &of, int desc, int x_name, int y_name, int index_name, bool is_backward) {
    const Descriptor &window = *of.child(desc);
    const Tensor x = tensor_of(*of.child(x_name)), y = tensor_of(*of.child(y_name));
    const bool is_max = window.value(CUDNN_ATTR_RESAMPLE_MODE, CUDNN_RESAMPLE_NEAREST) == CUDNN_RESAMPLE_MAXPOOL;
    if (x.dims.size() != 4 || y.dims.size() != 4 || x.dims[0] != y.dims[0] || x.dims[1] != y.dims[1]) return bad("x and y are not images of as many channels");
    for (int i = 0; i < 2; i++)
        if (!fits(x.dims[2 + i], y.dims[2 + i], window.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_PRE_PADDINGS)[i].numerator,
                  window.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_POST_PADDINGS)[i].numerator,
                  window.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_WINDOW_DIMS)[i].numerator, 1,
                  window.values<cudnnFraction_t>(CUDNN_ATTR_RESAMPLE_STRIDES)[i].numerator))
            return bad("finalize_internal(): y has not the size that the window leaves");
    if (is_backward && is_max && !of.has(index_name)) return bad("finalize_internal(): the gradient of a maximum needs its index");
    if (!of.has(index_name)) return CUDNN_STATUS_SUCCESS;
    const Tensor index = tensor_of(*of.child(index_name));
    return is_max && index.type == CUDNN_DATA_INT8 && index.dims == y.dims ? CUDNN_STATUS_SUCCESS : bad("an index is INT8, of y's dimensions, and of a maximum");
}

cudnnStatus_t finalize_matmul(const Descriptor &of) {
    const Tensor a = tensor_of(*of.child(CUDNN_ATTR_OPERATION_MATMUL_ADESC)), b = tensor_of(*of.child(CUDNN_ATTR_OPERATION_MATMUL_BDESC)),
                 c = tensor_of(*of.child(CUDNN_ATTR_OPERATION_MATMUL_CDESC));
    if (a.dims.size() != 3 || b.dims.size() != 3 || c.dims.size() != 3) return bad("matrices have three dimensions: batch, rows, columns");
    if (a.dims[2] != b.dims[1] || a.dims[1] != c.dims[1] || b.dims[2] != c.dims[2] || a.dims[0] != c.dims[0] || b.dims[0] != c.dims[0])
        return bad("aDesc.getDimA()[mDim + 1] != bDesc.getDimA()[nDim - 1] || aDesc.getDimA()[mDim] != cDesc.getDimA()[mDim]");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_graph(Descriptor &of) {
    std::vector<Operation> operations;
    std::string why;
    if (!operations_of(of, operations, why)) return bad("outputGraph.buildDAG(): " + why);
    of.put<int64_t>(CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_TYPE_INT64, {80}); // numbers, most of which are no engine's
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_heuristics(const Descriptor &of) {
    const Choice choice = engines_of(*of.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
    return choice.is_unknown ? fail(CUDNN_STATUS_NOT_SUPPORTED, choice.refusal) : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_plan(Descriptor &of) {
    if (of.has(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) && !of.has(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)) {
        const Attribute &json = of.at(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
        std::string why;
        if (!parse_plan(std::string(json.bytes.begin(), json.bytes.end()), of, why)) return fail(CUDNN_STATUS_BAD_PARAM, why);
    }
    if (!of.has(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)) return fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "assert_finalized == true");
    const Descriptor &engine = *of.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->child(CUDNN_ATTR_ENGINECFG_ENGINE);
    Engine found;
    if (!engine_by_number(*engine.child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH), engine.value<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1), found))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "no such engine for this graph");
    of.put<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, {found.workspace});
    const std::string json = print_plan(of);
    of.put<char>(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, {json.begin(), json.end()});
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_pack(const Descriptor &of) {
    const int64_t ids = of.has(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) ? of.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count : 0;
    const int64_t pointers = of.has(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS) ? of.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count : 0;
    return ids == pointers ? CUDNN_STATUS_SUCCESS : bad(std::to_string(ids) + " unique ids and " + std::to_string(pointers) + " pointers");
}

// cuDNN needs all of these; it names the first that is not there.
cudnnStatus_t finalize_device(const Descriptor &of) {
    if (!of.has(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION))
        return of.has(CUDNN_ATTR_DEVICEPROP_DEVICE_ID) || of.has(CUDNN_ATTR_DEVICEPROP_HANDLE) ? CUDNN_STATUS_SUCCESS : bad("a device is described by its id, a handle or JSON");
    const Attribute &attribute = of.at(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
    const std::string json(attribute.bytes.begin(), attribute.bytes.end());
    for (const char *key : {"maxGridSize", "maxBlockSize", "regsPerBlock", "multiProcessorCount", "warpSize", "maxSharedMemoryPerBlock", "maxSharedMemoryPerBlockOptin",
                            "reservedSharedMemoryPerBlock", "maxRegistersPerSM", "maxCtasPerSM", "maxThreadsPerBlock", "maxThreadsPerSM", "pciDeviceId", "isTccDriver",
                            "supportCoopLaunch", "totalGlobalMem", "smClockRateKHz", "memClockRateKHz", "l2CacheSize", "cudaDeviceId", "deviceName", "deviceVer", "driverVer"})
        if (json.find('"' + std::string(key) + '"') == std::string::npos) return bad("!json_object.HasMember(\"" + std::string(key) + "\")");
    return CUDNN_STATUS_SUCCESS;
}

} // namespace

cudnnStatus_t finalize(Descriptor &of) {
    const cudnnStatus_t status = missing(of);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    switch (of.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return finalize_tensor(of);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: {
        const int64_t spatial = of.value<int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
        for (const int name : {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS})
            if (of.at(name).count != spatial) return bad("attribute " + std::to_string(name) + " has not as many elements as there are spatial dimensions");
        return CUDNN_STATUS_SUCCESS;
    }
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return finalize_convolution(of, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return finalize_convolution(of, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return finalize_convolution(of, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return finalize_pointwise(of);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR: return finalize_norm_forward(of);
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR: return finalize_norm_backward(of);
    case CUDNN_BACKEND_RESAMPLE_DESCRIPTOR: return finalize_window(of);
    case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR:
        return finalize_resample(of, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, false);
    case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR:
        return finalize_resample(of, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC, CUDNN_ATTR_OPERATION_RESAMPLE_BWD_IDXDESC, true);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: return finalize_matmul(of);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return finalize_graph(of);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return finalize_heuristics(of);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR: return describe_engine(of);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finalize_plan(of);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return finalize_pack(of);
    case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR: return finalize_device(of);
    default: return CUDNN_STATUS_SUCCESS; // pointwise, matmul, engine config: nothing beyond what is set
    }
}

} // namespace stand_in
