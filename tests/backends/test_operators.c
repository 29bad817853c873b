// Every operator of the table: `reference` against finite differences, every other backend against `reference`.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/isolate.h"
#include "base/memory.h"
#include "base/random.h"
#include "graph/op.h"
#include "operator_cases.h"
#include "support.h"

static const bl_backend_options two_threads = {.threads = 2, .isa = ""};

static bl_backend *open_backend(const char *name) {
    bl_backend *backend;
    assert_ok(bl_backend_open(&backend, name, &two_threads));
    return backend;
}

typedef struct bench_case { // a case with its values, in a store of `reference`
    built_case built;
    bl_backend *reference;
    bl_store *store;
    double **values;
} bench_case;

static void set_up(bench_case *b, const operator_case *c, bl_dtype dtype) {
    operator_case_build(c, dtype, &b->built);
    b->reference = open_backend("reference");
    assert_ok(bl_store_create(b->reference, b->built.layout, &b->store));
    b->values = bl_alloc((size_t)b->built.graph->tensor_count * sizeof *b->values);
    assert_non_null(b->values);
    operator_case_fill(c, &b->built, b->store, b->values);
}

static void tear_down(bench_case *b) {
    for (int i = 0; i < b->built.graph->tensor_count; i++) bl_free(b->values[i]);
    bl_free(b->values);
    bl_store_free(b->store);
    bl_backend_close(b->reference);
    built_case_free(&b->built);
}

// ---- finite differences ----

static double *allocated(const bl_tensor *tensor) {
    double *values = bl_alloc((size_t)bl_shape_count(&tensor->shape) * sizeof *values);
    assert_non_null(values);
    return values;
}

static double dot(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

// dy . y with everything as the store and the plan have it.
static double projected_output(const bench_case *b, bl_plan *plan) {
    const bl_tensor *y = b->built.node->outputs[0];
    double *values = allocated(y);
    assert_ok(bl_plan_step(plan, 0, BL_PHASE_MICRO));
    assert_ok(bl_plan_read(plan, y, values));
    const double sum = dot(b->values[b->built.dy->id], values, bl_shape_count(&y->shape));
    bl_free(values);
    return sum;
}

static void set_input(const bench_case *b, bl_plan *plan, const bl_tensor *input, const double *values) {
    if (input->role == BL_ROLE_STORED)
        assert_ok(bl_store_write(b->store, input->place, values));
    else
        assert_ok(bl_plan_write(plan, input, values));
}

static double *get_input(const bench_case *b, const bl_tensor *input) {
    double *values = allocated(input);
    if (input->role == BL_ROLE_STORED)
        assert_ok(bl_store_read(b->store, input->place, values));
    else
        memcpy(values, b->values[input->id], (size_t)bl_shape_count(&input->shape) * sizeof *values);
    return values;
}

// Along one random direction of one input: a wrong value anywhere in dx changes the derivative by far more than the bound.
static void check_direction(const bench_case *b, bl_plan *plan, int slot) {
    const double h = 1e-5;
    const bl_tensor *input = b->built.node->inputs[slot];
    const int64_t count = bl_shape_count(&input->shape);
    double *at = get_input(b, input), *direction = allocated(input), *moved = allocated(input), *dx = allocated(input);
    bl_random random = bl_random_stream(2, input->name, 0, 0, 0);
    for (int64_t i = 0; i < count; i++) direction[i] = bl_random_normal(&random);

    projected_output(b, plan);
    assert_ok(bl_plan_read(plan, b->built.dx[slot], dx));
    // Fourth order: a batch norm of two rows bends too sharply for two points.
    static const double steps[] = {-2, -1, 1, 2}, weights[] = {1, -8, 8, -1};
    double numeric = 0;
    for (int k = 0; k < 4; k++) {
        for (int64_t i = 0; i < count; i++) moved[i] = at[i] + steps[k] * h * direction[i];
        set_input(b, plan, input, moved);
        numeric += weights[k] * projected_output(b, plan) / (12 * h);
    }
    set_input(b, plan, input, at);

    const double analytic = dot(dx, direction, count);
    const double size = fmax(fabs(analytic), sqrt(dot(dx, dx, count))); // of a derivative along a random direction
    if (!(size > 0) || !(fabs(numeric - analytic) <= 1e-7 * size))
        fail_msg("gradient of %s: %.12g, finite differences give %.12g", bl_op_rules[b->built.node->op]->inputs[slot], analytic, numeric);
    bl_free(at);
    bl_free(direction);
    bl_free(moved);
    bl_free(dx);
}

static void gradient_equals_finite_differences(void **state) {
    bench_case b;
    set_up(&b, *state, BL_F32); // `reference` computes in f64 whatever the dtype
    bl_plan *plan;
    assert_ok(bl_plan_compile(b.store, b.built.graph, &(bl_compile_options){.accumulate = 1, .observe_all = true}, &plan));
    for (int i = 0; i < b.built.graph->tensor_count; i++)
        if (b.values[i]) assert_ok(bl_plan_write(plan, b.built.graph->tensors[i], b.values[i]));
    for (int slot = 0; slot < b.built.node->input_count; slot++)
        if (b.built.wanted[slot]) {
            assert_non_null(b.built.dx[slot]);
            check_direction(&b, plan, slot);
        }
    bl_plan_free(plan);
    tear_down(&b);
}

// ---- backends against `reference` ----

typedef struct judged_case {
    const operator_case *c;
    const char *backend;
    bl_dtype dtype;
    int failures, held; // results that are wrong or should not be missing; those that could be compared
} judged_case;

// Beside what the case says.
static const char *why_refusable(const judged_case *judged) {
    if (judged->dtype == BL_BF16 && !strcmp(judged->backend, "onednn") && !bl_test_has_avx512()) return "oneDNN has no bf16 without AVX-512";
    if (judged->c->op == BL_OP_BATCH_NORM && !strcmp(judged->backend, "cudnn") && judged->c->C % (judged->dtype == BL_BF16 ? 8 : 4))
        return "cuDNN's batch norms take 16 bytes of channels at a time";
    return judged->c->may_be_refused;
}

static int judge(void *context, const bl_difference *d) {
    judged_case *judged = context;
    judged->held += !d->refused;
    if (d->refused) {
        print_message("%s on %s is refused: %s\n", d->node->name, judged->backend, d->refused);
        if (!why_refusable(judged)) judged->failures++;
    } else if (!(d->nmse <= bl_isolate_limit(d->node))) {
        bl_text shape = {0};
        bl_shape_print(&shape, &d->tensor->shape);
        print_message("%s %s: error %.3g, at most %.3g; worst at %lld of %s: %.9g should be %.9g\n", bl_op_rules[d->node->op]->name,
                      d->tensor->name, d->nmse, bl_isolate_limit(d->node), (long long)d->worst, shape.chars, d->actual, d->expected);
        bl_text_free(&shape);
        judged->failures++;
    }
    return BL_OK;
}

static void every_node_agrees_with_the_reference(void **state) {
    judged_case *judged = *state;
    bench_case b;
    set_up(&b, judged->c, judged->dtype);
    bl_backend *other = open_backend(judged->backend);
    assert_ok(bl_isolate_compare(b.reference, other, b.store, b.built.graph, b.values, judge, judged));
    bl_backend_close(other);
    tear_down(&b);
    assert_int_equal(judged->failures, 0);
    if (!judged->held) skip(); // the reason is printed
}

// ---- the table itself ----

// A backward operator is a case's where the rule of its forward appends it.
static void every_operator_has_a_case(void **state) {
    (void)state;
    bool has_case[BL_OP_COUNT] = {0};
    for (int i = 0; i < operator_case_count; i++) {
        built_case built;
        operator_case_build(&operator_cases[i], BL_F32, &built);
        for (int n = 0; n < built.graph->node_count; n++) has_case[built.graph->nodes[n]->op] = true;
        built_case_free(&built);
    }
    for (int op = 0; op < BL_OP_COUNT; op++)
        if (!has_case[op]) fail_msg("operator_cases.c has no case of %s", bl_op_rules[op]->name);
}

int main(void) {
    static struct CMUnitTest tests[1024];
    static judged_case judged[1024];
    size_t count = 0;
    const struct CMUnitTest table[] = {cmocka_unit_test(every_operator_has_a_case)};
    int failures = cmocka_run_group_tests_name("the table of cases", table, NULL, NULL);
    // The reference is the same whichever backend is asked for by name.
    for (int i = 0; i < operator_case_count && !bl_test_backend_is_named(); i++)
        if (bl_op_rules[operator_cases[i].op]->gradient)
            tests[count++] = (struct CMUnitTest){.name = operator_cases[i].name, .test_func = gradient_equals_finite_differences,
                                                 .initial_state = (void *)&operator_cases[i]};
    if (count) failures += _cmocka_run_group_tests("gradients of the reference equal finite differences", tests, count, NULL, NULL);

    for (const char *const *name = bl_test_backends(); *name; name++) {
        if (!strcmp(*name, "reference")) continue;
        count = 0;
        for (int i = 0; i < operator_case_count; i++)
            for (bl_dtype dtype = BL_F32; dtype <= BL_BF16; dtype++) {
                if (dtype == BL_BF16 && operator_case_writes(&operator_cases[i])) continue;
                char *title = NULL;
                if (asprintf(&title, "%s, %s", operator_cases[i].name, bl_dtype_name(dtype)) < 0) return 1;
                judged[count] = (judged_case){&operator_cases[i], *name, dtype, 0, 0};
                tests[count] = (struct CMUnitTest){
                        .name = title, .test_func = every_node_agrees_with_the_reference, .initial_state = &judged[count]};
                count++;
            }
        char title[64];
        snprintf(title, sizeof title, "%s agrees with the reference, node by node", *name);
        failures += _cmocka_run_group_tests(title, tests, count, NULL, NULL);
        for (size_t i = 0; i < count; i++) free((char *)tests[i].name);
    }
    return failures;
}
