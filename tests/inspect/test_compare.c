// Comparing backends: whole BYOL steps node by node, and the proof that a wrong operator would be found.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/isolate.h"
#include "base/memory.h"
#include "inspect/compare.h"
#include "models.h"
#include "support.h"

static bl_model_options small_model(bl_dtype precision) {
    return (bl_model_options){
            .encoder = RESNET18(16),
            .projector = MLP(64, 32, BL_NORM_HIDDEN),
            .method = {.predictor = BL_PREDICTOR_MLP,
                       .predictor_head = MLP(64, 32, BL_NORM_NONE),
                       .predictor_lr_scale = 1,
                       .target = BL_TARGET_EMA,
                       .stop_gradient = true},
            .optimizer = {.kind = BL_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 1e-4},
            .image_size = 16,
            .precision = precision,
    };
}

static void compare(const char *judged, bl_dtype precision, bl_compare_mode mode, bl_text *table, bool *pass) {
    const bl_cell cell = {.model = small_model(precision), .train = {.batch = 4}};
    const bl_comparison comparison = {.cell = &cell, .seed = 3, .right = "reference", .judged = judged,
                                      .machine = {.threads = 2, .isa = ""}, .mode = mode};
    assert_ok(bl_compare(&comparison, table, pass));
}

static void every_node_of_a_step_agrees_on_every_backend(void **state) {
    (void)state;
    for (const char *const *name = bl_test_backends(); *name; name++)
        for (bl_dtype dtype = BL_F32; dtype <= BL_BF16; dtype++) {
            if (dtype == BL_BF16 && !strcmp(*name, "onednn") && !bl_test_has_avx512()) {
                print_message("oneDNN has no bf16 without AVX-512\n");
                continue;
            }
            bl_text table = {0};
            bool pass;
            compare(*name, dtype, BL_COMPARE_ISOLATED, &table, &pass);
            assert_non_null(strstr(table.chars, "convolution_backward_weights"));
            if (!pass) fail_msg("%s, %s:\n%s", *name, bl_dtype_name(dtype), table.chars);
            bl_text_free(&table);
        }
}

static void free_run_against_itself_differs_nowhere(void **state) {
    (void)state;
    bl_text table = {0};
    bool pass;
    compare("reference", BL_F32, BL_COMPARE_CHAINED, &table, &pass);
    assert_true(pass);
    int rows = 0;
    for (const char *line = strchr(table.chars, '\n') + 1; *line; line = strchr(line, '\n') + 1, rows++)
        assert_memory_equal(strchr(line, '\n') - 8, "0.00e+00", 8);
    assert_true(rows > 300);
    bl_text_free(&table);
}

// ---- a backend that is wrong in one value of one operator ----

static bl_backend_table faulty;
static const bl_backend_table *sound;
static double fault;

static int read_with_fault(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    if (sound->read(plan, tensor, dst)) return BL_FAILED;
    if (plan->graph->nodes[0]->op == BL_OP_ADD) dst[5] += fault;
    return BL_OK;
}

static bool refuses_relu(const bl_backend *backend, const bl_node *node, char *reason, size_t reason_bytes) {
    (void)backend;
    if (node->op != BL_OP_RELU) return true;
    snprintf(reason, reason_bytes, "no ReLU here");
    return false;
}

typedef struct seen {
    int results, wrong, refused;
    int64_t worst;
} seen;

static int look(void *context, const bl_difference *d) {
    seen *s = context;
    s->results++;
    if (d->refused) {
        assert_string_equal(d->refused, "no ReLU here");
        assert_int_equal(d->node->op, BL_OP_RELU);
        s->refused++;
    } else if (!(d->nmse <= bl_isolate_limit(d->node))) {
        assert_int_equal(d->node->op, BL_OP_ADD);
        s->wrong++;
        s->worst = d->worst;
    }
    return BL_OK;
}

static seen walk(double with_fault, bool refuse) {
    bl_layout *layout;
    bl_graph *graph;
    bl_tensor *x;
    bl_node *add, *relu;
    bl_backend *right;
    bl_store *store;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_graph_create(&graph, layout));
    assert_ok(bl_graph_input(graph, "x", BL_F32, (bl_shape){2, {4, 8}}, &x));
    assert_ok(bl_graph_node(graph, BL_OP_ADD, "add", NULL, (bl_tensor *[]){x, x}, 2, &add));
    assert_ok(bl_graph_node(graph, BL_OP_RELU, "relu", NULL, add->outputs, 1, &relu));
    assert_ok(bl_backend_open(&right, "reference", &(bl_backend_options){.threads = 1, .isa = ""}));
    assert_ok(bl_store_create(right, layout, &store));
    double *values[3] = {bl_alloc(32 * sizeof(double))};
    for (int i = 0; i < 32; i++) values[0][i] = 1 + 0.1 * i; // not representable: both sides must get the rounded values

    sound = right->table;
    faulty = *sound;
    faulty.read = read_with_fault;
    if (refuse) faulty.supports = refuses_relu;
    fault = with_fault;
    bl_backend judged = {.table = &faulty};
    seen s = {0};
    assert_ok(bl_isolate_compare(right, &judged, store, graph, values, look, &s));
    assert_true(values[relu->outputs[0]->id][5] == 2 * (double)1.5f); // later nodes read what is right

    for (int i = 0; i < 3; i++) bl_free(values[i]);
    bl_store_free(store);
    bl_backend_close(right);
    bl_graph_free(graph);
    bl_layout_free(layout);
    return s;
}

static void wrong_value_is_found_where_it_arises_and_only_there(void **state) {
    (void)state;
    assert_int_equal(walk(0, false).wrong, 0);
    assert_int_equal(walk(1e-6, false).wrong, 0);
    const seen s = walk(1e-3, false);
    assert_int_equal(s.results, 2);
    assert_int_equal(s.wrong, 1);
    assert_int_equal(s.worst, 5);
}

static void value_that_is_not_finite_is_found(void **state) {
    (void)state;
    assert_int_equal(walk(NAN, false).wrong, 1);
    assert_int_equal(walk(INFINITY, false).worst, 5);
}

static void refused_operator_is_reported_with_the_reason(void **state) {
    (void)state;
    assert_int_equal(walk(0, true).refused, 1);
}

static void error_is_relative_to_what_is_right(void **state) {
    (void)state;
    const double right[] = {3, 4}, off[] = {3, 4.5}, zeros[] = {0, 0}, nan[] = {3, NAN};
    int64_t worst = -1;
    assert_true(bl_nmse(right, off, 2, 0, &worst) == 0.25 / 25);
    assert_int_equal(worst, 1);
    assert_true(bl_nmse(right, off, 2, 250, NULL) == 0.001);
    assert_true(bl_nmse(zeros, zeros, 2, 0, NULL) == 0);
    assert_true(isinf(bl_nmse(zeros, off, 2, 0, NULL)));
    assert_true(isinf(bl_nmse(right, nan, 2, 0, &worst)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(error_is_relative_to_what_is_right),
            cmocka_unit_test(wrong_value_is_found_where_it_arises_and_only_there),
            cmocka_unit_test(value_that_is_not_finite_is_found),
            cmocka_unit_test(refused_operator_is_reported_with_the_reason),
            cmocka_unit_test(free_run_against_itself_differs_nowhere),
            cmocka_unit_test(every_node_of_a_step_agrees_on_every_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
