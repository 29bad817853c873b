// isolate.h - nodes run alone, with values given from outside: how backends are held against each other.
//
// A whole step cannot tell which operator is wrong: one rounding flips a ReLU and every later value differs a little. Here each
// node gets a graph, a layout and a store of its own, so two backends see the same operands and differ by that node only.

#ifndef BL_BACKENDS_ISOLATE_H
#define BL_BACKENDS_ISOLATE_H

#include "backends/backend.h" // bl_backend, bl_store

#define BL_MAX_RESULTS (BL_MAX_OUTPUTS + BL_MAX_INPUTS)

// What a node leaves behind: its wanted outputs, or the stored tensors that a writer changes. Returns their number.
int bl_isolate_results(const bl_node *node, const bl_tensor *results[BL_MAX_RESULTS]);

// Runs `node` alone. `inputs` has a pointer a slot (NULL: absent); `results` a pointer for each of bl_isolate_results.
BL_CHECK int bl_isolate_run(bl_backend *backend, const bl_node *node, const bl_layout *layout, const double *const *inputs,
                            double *const *results);

// bf16 where an operand is; f32 else.
bl_dtype bl_isolate_dtype(const bl_node *node);

// What a backend may be off in one node: the largest sum of squared differences, as a part of the squared norm of what is right.
double bl_isolate_limit(const bl_node *node);

typedef struct bl_difference { // of one result of one node
    const bl_node *node;
    const bl_tensor *tensor;
    const char *refused;       // the backend's reason for not running the node (then the rest is 0); NULL: it ran
    double nmse;               // squared differences / squared norm of the result; infinite where a value is not finite
    int64_t worst;             // index of the largest difference
    double expected, actual;   // its two values
} bl_difference;

typedef int (*bl_difference_visit)(void *context, const bl_difference *difference);

// Walks the graph in order. Every node is run alone on `right` and on `judged` with the same inputs, rounded to what the node
// works in; each result is handed to `visit`; what later nodes read are the results of `right`. `store` belongs to `right` and
// holds what persists; it changes as in a step. values[tensor->id] holds the graph's inputs, and receives the rest (NULL
// entries are allocated; the caller frees all with bl_free).
BL_CHECK int bl_isolate_compare(bl_backend *right, bl_backend *judged, bl_store *store, const bl_graph *graph, double **values,
                                bl_difference_visit visit, void *context);

// The squared differences of `count` values over the squared norm of `expected`, or over `floor` where that is larger.
// *worst (may be NULL) is the index of the largest difference, or of the first value of `actual` that is not finite.
double bl_nmse(const double *expected, const double *actual, int64_t count, double floor, int64_t *worst);

#endif
