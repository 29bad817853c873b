// cudnn_stand_in.h - cuDNN's graph API on the CPU, for tests: what its files share.
//
// A descriptor is a type and its attributes, whatever they are; a table says which attributes a type has (cudnn_attributes.cpp), what it
// needs to be finalised (cudnn_finalize.cpp), which graphs have engines (cudnn_engines.cpp), what a plan is as JSON (cudnn_json.cpp), how
// a call becomes work on a stream (cudnn_execute.cpp) and what operations mean (cudnn_operations.cpp).

#ifndef BL_STAND_IN_CUDNN_H
#define BL_STAND_IN_CUDNN_H

#include <cudnn.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct cudnnContext {
    cudaStream_t stream = nullptr;
};

namespace stand_in {

struct Descriptor;
using Shared = std::shared_ptr<Descriptor>;

struct Attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<unsigned char> bytes; // empty for descriptors
    std::vector<Shared> children;
};

struct Descriptor {
    cudnnBackendDescriptorType_t type;
    bool is_finalized = false;
    std::map<int, Attribute> attributes;

    bool has(int name) const { return attributes.count(name) != 0; }
    const Attribute &at(int name) const { return attributes.at(name); }
    template <typename T> T value(int name, T otherwise) const { return has(name) ? values<T>(name)[0] : otherwise; }
    template <typename T> const T *values(int name) const { return reinterpret_cast<const T *>(at(name).bytes.data()); }
    Shared child(int name) const { return has(name) ? at(name).children[0] : nullptr; }
    template <typename T> void put(int name, cudnnBackendAttributeType_t kind, const std::vector<T> &from) {
        const auto *bytes = reinterpret_cast<const unsigned char *>(from.data());
        attributes[name] = {kind, (int64_t)from.size(), {bytes, bytes + from.size() * sizeof(T)}, {}};
    }
};

// ---- cudnn.cpp: descriptors by their handles, the thread's last error, the log ----
Shared find(cudnnBackendDescriptor_t handle);                     // nullptr: none that lives
cudnnStatus_t fail(cudnnStatus_t status, const std::string &why); // keeps `why` for cudnnGetLastErrorString
void log_refusal(const std::string &status, const std::string &why); // "No viable engine configs", as cuDNN words it

// ---- cudnn_attributes.cpp ----
struct Rule {
    int name;
    cudnnBackendDescriptorType_t owner;
    cudnnBackendAttributeType_t type;
    int64_t most; // elements
    bool is_needed;
    int child;    // descriptor type of what it points to; -1: it does not
};
const Rule *rule_of(const Descriptor &of, int name); // nullptr: this type has no such attribute
cudnnStatus_t missing(const Descriptor &of);         // the first needed attribute that is not there
size_t element_size(cudnnBackendAttributeType_t type);
bool is_known(cudnnBackendDescriptorType_t type);

// ---- cudnn_finalize.cpp ----
cudnnStatus_t finalize(Descriptor &of);

// ---- a tensor, and an operation with its operands, as read from descriptors (cudnn_graph.cpp) ----
struct Tensor {
    int64_t id = 0;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    std::vector<int64_t> dims, strides;
    int64_t alignment = 16;
    bool is_virtual = false, is_by_value = false;

    int64_t count() const;         // of elements
    int64_t extent() const;        // bytes from the first to the last, strides included
    bool operator==(const Tensor &other) const;
};
size_t size_of(cudnnDataType_t type);
Tensor tensor_of(const Descriptor &descriptor);

struct Operation {
    cudnnBackendDescriptorType_t type;
    Shared descriptor;
    std::map<int, Tensor> inputs, outputs; // by attribute
    bool has(int name) const { return inputs.count(name) || outputs.count(name); }
    const Tensor &tensor(int name) const { return inputs.count(name) ? inputs.at(name) : outputs.at(name); }
    cudnnPointwiseMode_t mode() const; // of a pointwise operation
};
Operation operation_of(const Shared &descriptor);
bool is_operation(cudnnBackendDescriptorType_t type);
// The graph's operations, each behind those whose results it reads. False: a circle, or two that write one tensor.
bool operations_of(const Descriptor &graph, std::vector<Operation> &operations, std::string &why);

// ---- cudnn_engines.cpp ----
struct Engine {
    int64_t index;
    bool is_deterministic, has_tensor_cores, is_compiled_at_run_time;
    int64_t workspace;
};
struct Choice {
    std::vector<Engine> suggested, fallback, by_number; // by_number: no heuristic offers them
    std::string status, refusal;                        // where there are none
    bool is_unknown = false;                            // no heuristics at all: their finalize fails
};
Choice engines_of(const Descriptor &graph);
bool engine_by_number(const Descriptor &graph, int64_t index, Engine &engine);
cudnnStatus_t describe_engine(Descriptor &engine);                         // notes of a finalised engine
std::vector<Shared> suggestions(const Descriptor &heuristics);             // engine configs, best first

// ---- cudnn_json.cpp ----
std::string print_plan(const Descriptor &plan);
bool parse_plan(const std::string &json, Descriptor &plan, std::string &why); // sets its engine config

// ---- cudnn_execute.cpp, cudnn_operations.cpp ----
using Values = std::vector<double>;             // in the order of dims, whatever the strides
using Memory = std::map<int64_t, Values>;       // by unique id
double rounded(double value, cudnnDataType_t type);
double rounded_to_tf32(double value);
void run(const Operation &operation, Memory &memory, bool uses_tf32);

} // namespace stand_in

#endif
