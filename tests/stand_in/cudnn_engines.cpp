// cudnn_engines.cpp - which graphs have engines, and which they are: what cuDNN 9.19 said of a described H200, in small.
//
// Heuristics suggest a nondeterministic engine first and one that rounds f32 to TF32 second, so that a wrong choice shows in the numbers.
// What has no engine there has none here, whether or not the stand-in could compute it: of fusions, those that were seen to build.

#include "cudnn_stand_in.h"

#include <algorithm>

namespace stand_in {

namespace {

using Operations = std::vector<Operation>;

constexpr cudnnBackendDescriptorType_t FORWARD = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
constexpr cudnnBackendDescriptorType_t BACKWARD_DATA = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
constexpr cudnnBackendDescriptorType_t BACKWARD_FILTER = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
constexpr cudnnBackendDescriptorType_t POINTWISE = CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR;
constexpr cudnnDataType_t F32 = CUDNN_DATA_FLOAT, BF16 = CUDNN_DATA_BFLOAT16, BOOLEAN = CUDNN_DATA_BOOLEAN;

void refuse(Choice &choice, const char *status, const char *why) {
    choice.status = status;
    choice.refusal = why;
}
void refuse_pattern(Choice &choice) { refuse(choice, "NOT_SUPPORTED_GRAPH_PATTERN", "Unsupported pattern in the graph."); }

// Sizes that are no multiple of an alignment, as cuDNN's are not.
int64_t workspace_of(int64_t index) { return 1024 * (2 + index % 5) + 131; }

// The list of a heuristic: nondeterministic, with tensor cores, without. -1: there is none of that kind.
void suggest(Choice &choice, int64_t unstable, int64_t tensor_cores, int64_t plain, bool is_compiled) {
    for (const int64_t index : {unstable, tensor_cores, plain})
        if (index >= 0) choice.suggested.push_back({index, index != unstable, index != plain, is_compiled, workspace_of(index)});
    choice.fallback.push_back(choice.suggested.back());
}

const Tensor &result_of(const Operation &pointwise) {
    return pointwise.tensor(pointwise.mode() == CUDNN_POINTWISE_RELU_BWD ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
}
const Tensor &x_of(const Operation &pointwise) { return pointwise.tensor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC); }

// Whether operations[from..] are these pointwise modes, each reading as its x what the one before wrote, at first `carried`. Everything
// between is f32 and virtual. A comparison, if any, comes last and reads what the chain gave at the end (the ReLU's output).
bool is_chain(const Operations &operations, size_t from, Tensor carried, const std::vector<cudnnPointwiseMode_t> &modes) {
    if (operations.size() != from + modes.size()) return false;
    for (size_t i = 0; i < modes.size(); i++) {
        const Operation &operation = operations[from + i];
        if (operation.type != POINTWISE || operation.mode() != modes[i] || x_of(operation).id != carried.id) return false;
        if (modes[i] == CUDNN_POINTWISE_CMP_GT) return result_of(operation).type == BOOLEAN && !carried.is_virtual && operation.tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC).is_by_value;
        if (!carried.is_virtual || carried.type != F32) return false;
        carried = result_of(operation);
    }
    return !carried.is_virtual;
}

bool is_f32_computation(const Operation &operation, int desc, int name) { return operation.descriptor->child(desc)->value(name, F32) == F32; }

void convolution(const Operations &operations, Choice &choice) {
    const Operation &first = operations[0];
    const bool is_forward = first.type == FORWARD, is_filter = first.type == BACKWARD_FILTER;
    const int desc = is_forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC : is_filter ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC
                                                                                                : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC;
    const Tensor &result = first.outputs.begin()->second, &a = first.inputs.begin()->second, &b = first.inputs.rbegin()->second;
    const int64_t channels = first.tensor(is_forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X : is_filter ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X
                                                                                                              : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX).dims[1];
    const bool is_half = a.type == BF16;
    if (!is_f32_computation(first, desc, CUDNN_ATTR_CONVOLUTION_COMP_TYPE)) return refuse(choice, "NOT_SUPPORTED", "core_engine.getStatus()");
    if (first.descriptor->child(desc)->value(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CONVOLUTION) != CUDNN_CROSS_CORRELATION) return refuse_pattern(choice);
    if (a.type != b.type || (a.type != F32 && a.type != BF16) || (result.type != F32 && result.type != BF16) || a.is_virtual || b.is_virtual || (!is_half && result.type != F32))
        return refuse(choice, "NOT_SUPPORTED", "config == INVALID_DATA_CONFIG");
    if (operations.size() == 1) {
        if (result.is_virtual) return refuse_pattern(choice);
        if (result.type == a.type) {
            if (is_forward) return suggest(choice, 25, is_half ? 62 : 67, is_half ? 1 : 70, false);
            if (is_filter) return suggest(choice, 25, is_half ? 65 : 68, 1, false);
            return suggest(choice, 25, is_half ? 67 : 71, is_half ? 0 : 74, false);
        }
        // bf16 operands, f32 result: forward by the fallback list alone; gradients by number alone.
        if (channels % 2) return refuse(choice, "NOT_SUPPORTED_SHAPE", "leading_dim_in_bits_x % 32 != 0");
        const Engine compiled{is_forward ? 71 : is_filter ? 69 : 77, true, true, true, workspace_of(71)};
        (is_forward ? choice.fallback : choice.by_number).push_back(compiled);
        if (!is_forward) refuse(choice, "NOT_SUPPORTED", "config == INVALID_DATA_CONFIG");
        return;
    }
    if (is_filter && is_chain(operations, 1, result, {CUDNN_POINTWISE_IDENTITY}) && result_of(operations[1]).type == F32) {
        if (is_half && channels % 2) return refuse(choice, "NOT_SUPPORTED_SHAPE", "leading_dim_in_bits_x % 128 != 0");
        return suggest(choice, 1, 2, -1, true);
    }
    if (is_forward && (is_chain(operations, 1, result, {CUDNN_POINTWISE_ADD, CUDNN_POINTWISE_RELU_FWD}) || is_chain(operations, 1, result, {CUDNN_POINTWISE_ADD})))
        return suggest(choice, 25, is_half ? 41 : 51, is_half ? 11 : 44, false);
    refuse_pattern(choice);
}

// Vectors of 16 bytes of channels.
bool has_whole_vectors(const Tensor &x) { return x.dims[1] * (int64_t)size_of(x.type) % 16 == 0; }

bool are_f32(const Operation &norm, const std::vector<int> &names) {
    return std::all_of(names.begin(), names.end(), [&](int name) { return !norm.has(name) || norm.tensor(name).type == F32; });
}

void norm_forward(const Operations &operations, Choice &choice) {
    const Operation &norm = operations[0];
    const Tensor &x = norm.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC), &y = norm.tensor(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC);
    if (norm.descriptor->value(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_INFERENCE) != CUDNN_NORM_FWD_TRAINING) {
        choice.is_unknown = true;
        return refuse(choice, "NOT_SUPPORTED", "matcher_casted == nullptr");
    }
    if ((x.type != F32 && x.type != BF16) || !are_f32(norm, {CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC,
                                                             CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC}))
        return refuse(choice, "NOT_SUPPORTED_DATA_TYPE", "statistics, scale and bias are f32");
    const std::vector<std::vector<cudnnPointwiseMode_t>> chains = {
        {CUDNN_POINTWISE_RELU_FWD},
        {CUDNN_POINTWISE_RELU_FWD, CUDNN_POINTWISE_CMP_GT},
        {CUDNN_POINTWISE_ADD, CUDNN_POINTWISE_RELU_FWD},
        {CUDNN_POINTWISE_ADD, CUDNN_POINTWISE_RELU_FWD, CUDNN_POINTWISE_CMP_GT},
    };
    const bool is_alone = operations.size() == 1 && !y.is_virtual;
    if (!is_alone && std::none_of(chains.begin(), chains.end(), [&](const auto &modes) { return is_chain(operations, 1, y, modes); }))
        return refuse(choice, "NOT_SUPPORTED", "add_Y_connections.size() != 1");
    for (size_t i = 1; i < operations.size(); i++) {
        const bool is_add = operations[i].mode() == CUDNN_POINTWISE_ADD, is_relu = operations[i].mode() == CUDNN_POINTWISE_RELU_FWD;
        if (is_add && operations[i].tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC).dims != x.dims) return refuse_pattern(choice);
        if ((is_relu && result_of(operations[i]).type != x.type) || (is_add && operations[i].tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC).type != x.type))
            return refuse(choice, "NOT_SUPPORTED", "other_params.inputDataType != BN_Y_desc->getDataType()");
    }
    if (is_alone && y.type != x.type) return refuse(choice, "NOT_SUPPORTED", "other_params.inputDataType != BN_Y_desc->getDataType()");
    if (!has_whole_vectors(x)) return refuse(choice, "NOT_SUPPORTED", "tunable_params.c % tunable_params.elements_per_ldg != 0");
    suggest(choice, 6, -1, 0, true);
}

// The last operation is the norm's gradient; what may come first is dy times a mask, and before that the mask's comparison.
void norm_backward(const Operations &operations, Choice &choice) {
    const Operation &norm = operations.back();
    const Tensor &x = norm.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC), &dy = norm.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC), &dx = norm.tensor(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC);
    if (operations.size() > 3) return refuse_pattern(choice);
    if (operations.size() > 1) {
        const Operation &product = operations[operations.size() - 2];
        if (product.type != POINTWISE || result_of(product).id != dy.id) return refuse_pattern(choice);
        if (product.mode() == CUDNN_POINTWISE_RELU_BWD) return refuse(choice, "NOT_SUPPORTED", "!dact_op->getXDesc()->getIsVirtual()");
        if (product.mode() != CUDNN_POINTWISE_MUL) return refuse_pattern(choice);
        const Tensor &mask = product.tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), &from = x_of(product);
        if (mask.type != BOOLEAN || mask.dims != x.dims || from.is_virtual || from.type != x.type || mask.is_virtual != (operations.size() == 3)) return refuse_pattern(choice);
        if (operations.size() == 3 && (operations[0].type != POINTWISE || operations[0].mode() != CUDNN_POINTWISE_CMP_GT || result_of(operations[0]).id != mask.id || x_of(operations[0]).is_virtual))
            return refuse_pattern(choice);
    }
    if ((x.type != F32 && x.type != BF16) || dy.type != x.type || dx.type != x.type || dx.is_virtual || (operations.size() == 1 && dy.is_virtual))
        return refuse(choice, "NOT_SUPPORTED_DATA_TYPE", "x, dy and dx are of one type");
    if (!are_f32(norm, {CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC,
                        CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC}))
        return refuse(choice, "NOT_SUPPORTED_DATA_TYPE", "statistics, scale and bias are f32");
    if (!has_whole_vectors(x)) return refuse(choice, "NOT_SUPPORTED", "tunable_params.c % tunable_params.elements_per_ldg != 0");
    suggest(choice, 6, -1, 0, true);
}

void resample(const Operations &operations, Choice &choice) {
    const Operation &pool = operations[0];
    const bool is_forward = pool.type == CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR;
    if (operations.size() != 1) return refuse_pattern(choice);
    const Tensor &from = pool.tensor(is_forward ? CUDNN_ATTR_OPERATION_RESAMPLE_FWD_XDESC : CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DYDESC);
    const Tensor &to = pool.tensor(is_forward ? CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC : CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC);
    if (from.type != to.type || (from.type != F32 && from.type != BF16) || from.is_virtual || to.is_virtual) return refuse(choice, "NOT_SUPPORTED_DATA_TYPE", "x and y are of one type");
    if (is_forward && !pool.has(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC)) return suggest(choice, 1, -1, 3, true);
    suggest(choice, 1, 2, -1, true); // these carry the note of tensor cores, in f32 too, and have no other
}

void matmul(const Operations &operations, Choice &choice) {
    const Operation &product = operations[0];
    const Tensor &a = product.tensor(CUDNN_ATTR_OPERATION_MATMUL_ADESC), &b = product.tensor(CUDNN_ATTR_OPERATION_MATMUL_BDESC), &c = product.tensor(CUDNN_ATTR_OPERATION_MATMUL_CDESC);
    if (!is_f32_computation(product, CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_ATTR_MATMUL_COMP_TYPE)) return refuse(choice, "NOT_SUPPORTED", "core_engine.getStatus()");
    if (a.type != b.type || (a.type != F32 && a.type != BF16) || (c.type != F32 && c.type != a.type) || a.is_virtual || b.is_virtual) return refuse(choice, "NOT_SUPPORTED_DATA_TYPE", "a and b are of one type");
    const bool is_alone = operations.size() == 1 && !c.is_virtual;
    if (!is_alone && !is_chain(operations, 1, c, {CUDNN_POINTWISE_ADD}) && !is_chain(operations, 1, c, {CUDNN_POINTWISE_RELU_FWD}) &&
        !is_chain(operations, 1, c, {CUDNN_POINTWISE_ADD, CUDNN_POINTWISE_RELU_FWD}))
        return refuse_pattern(choice);
    suggest(choice, 1, 7, -1, true); // none without tensor cores
}

bool can_repeat(const Tensor &from, const Tensor &to) {
    for (size_t i = 0; i < from.dims.size(); i++)
        if (from.dims[i] != to.dims[i] && from.dims[i] != 1) return false;
    return true;
}

void pointwise(const Operations &operations, Choice &choice) {
    for (const Operation &operation : operations) {
        if (operation.type != POINTWISE) return refuse_pattern(choice);
        for (const auto &[name, tensor] : operation.inputs)
            if (!can_repeat(tensor, result_of(operation))) return refuse(choice, "NOT_SUPPORTED_GRAPH_PATTERN", "Unsupported pointwise pattern in the graph.");
    }
    if (result_of(operations.back()).is_virtual) return refuse_pattern(choice);
    suggest(choice, 3, 1, -1, true);
}

bool is_known_mode(cudnnPointwiseMode_t mode) {
    switch (mode) {
    case CUDNN_POINTWISE_IDENTITY:
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_RELU_FWD:
    case CUDNN_POINTWISE_RELU_BWD:
    case CUDNN_POINTWISE_CMP_GT: return true;
    default: return false;
    }
}

} // namespace

Choice engines_of(const Descriptor &graph) {
    Choice choice;
    Operations operations;
    if (!operations_of(graph, operations, choice.refusal)) return choice;
    for (const Operation &operation : operations)
        if (operation.type == POINTWISE && (!is_known_mode(operation.mode()) || !is_f32_computation(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC))) {
            refuse(choice, "NOT_SUPPORTED", "a pointwise mode or precision that the stand-in has not");
            return choice;
        }
    if (operations.back().type == CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR) norm_backward(operations, choice);
    else switch (operations[0].type) {
        case FORWARD:
        case BACKWARD_DATA:
        case BACKWARD_FILTER: convolution(operations, choice); break;
        case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR: norm_forward(operations, choice); break;
        case CUDNN_BACKEND_OPERATION_RESAMPLE_FWD_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_RESAMPLE_BWD_DESCRIPTOR: resample(operations, choice); break;
        case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR: matmul(operations, choice); break;
        case POINTWISE: pointwise(operations, choice); break;
        default: refuse_pattern(choice);
    }
    return choice;
}

bool engine_by_number(const Descriptor &graph, int64_t index, Engine &engine) {
    const Choice choice = engines_of(graph);
    for (const auto *list : {&choice.suggested, &choice.fallback, &choice.by_number})
        for (const Engine &one : *list)
            if (one.index == index) {
                engine = one;
                return true;
            }
    return false;
}

cudnnStatus_t describe_engine(Descriptor &of) {
    Engine engine;
    if (!engine_by_number(*of.child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH), of.value<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1), engine))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "no such engine for this graph");
    std::vector<cudnnBackendNumericalNote_t> numbers;
    std::vector<cudnnBackendBehaviorNote_t> behavior;
    if (engine.has_tensor_cores) numbers.push_back(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    if (!engine.is_deterministic) numbers.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    if (engine.is_compiled_at_run_time) behavior.push_back(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
    if (!numbers.empty()) of.put(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, numbers);
    if (!behavior.empty()) of.put(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, behavior);
    return CUDNN_STATUS_SUCCESS;
}

std::vector<Shared> suggestions(const Descriptor &heuristics) {
    const Shared graph = heuristics.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const Choice choice = engines_of(*graph);
    const bool is_fallback = heuristics.value(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A) == CUDNN_HEUR_MODE_FALLBACK;
    std::vector<Shared> configs;
    for (const Engine &one : is_fallback ? choice.fallback : choice.suggested) {
        auto engine = std::make_shared<Descriptor>(), config = std::make_shared<Descriptor>();
        engine->type = CUDNN_BACKEND_ENGINE_DESCRIPTOR;
        engine->attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {graph}};
        engine->put<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, {one.index});
        engine->is_finalized = describe_engine(*engine) == CUDNN_STATUS_SUCCESS;
        config->type = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
        config->attributes[CUDNN_ATTR_ENGINECFG_ENGINE] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {engine}};
        config->is_finalized = true;
        configs.push_back(config);
    }
    if (configs.empty()) log_refusal(choice.status.empty() ? "NOT_SUPPORTED" : choice.status, choice.refusal.empty() ? "no search results or none implementable" : choice.refusal);
    return configs;
}

} // namespace stand_in
