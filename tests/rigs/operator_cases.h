// operator_cases.h - one table of operators, shapes and attributes, for every test that holds backends against something.
//
// A case names a forward operator or a writer; where the operator has a gradient, its rule appends the backward nodes, so that
// each backward operator is tested at the shapes its forward has.

#ifndef BL_TESTS_OPERATOR_CASES_H
#define BL_TESTS_OPERATOR_CASES_H

#include "backends/backend.h"

typedef struct operator_case {
    const char *name;
    bl_op op;
    int64_t N, H, W, C;   // of the input; H = 0: [N, C]
    int64_t O;            // output channels or features
    bl_attributes attributes;
    bool has_bias;        // linear
    bool is_fixed;        // its parameters belong to a network that is not trained
    bl_block_kind block;  // ema: what is averaged
    double offset;        // added to the input: a mean far from 0
    bool is_near_aligned; // loss: z is its partner's p but for 3 %
    const char *may_be_refused; // why a backend may decline it; NULL: every backend must run it
} operator_case;

extern const operator_case operator_cases[];
extern const int operator_case_count;

bool operator_case_writes(const operator_case *c); // changes the store: f32 only, no gradient

typedef struct built_case {
    bl_layout *layout;
    bl_graph *graph;
    bl_node *node;                 // the case's own; those of its gradient follow
    bl_tensor *dy;                 // a graph input; NULL where the operator has no gradient
    bool wanted[BL_MAX_INPUTS];    // which inputs of `node` have a gradient
    bl_tensor *dx[BL_MAX_INPUTS];  // by input of `node`
} built_case;

void operator_case_build(const operator_case *c, bl_dtype dtype, built_case *out);
void built_case_free(built_case *built);

// Seeded values that make sense for each operand: positive variances, weights of unit gain, ReLU inputs away from the kink.
// values[tensor->id] is allocated for every graph input (free with bl_free).
void operator_case_fill(const operator_case *c, const built_case *built, bl_store *store, double **values);

#endif
