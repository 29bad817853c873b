// Comparing backends: whole BYOL steps node by node, and the proof that a wrong operator would be found.
//
// bl_backend_open stands here in front of the library's own, so that the backend which is judged can be made wrong.

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

// ---- a backend that is wrong in one value of one operator ----

static bl_backend_table faulty;
static const bl_backend_table *sound;
static double fault;
static const char *wrong_tensor;    // of free runs: whose first value is off by `fault` where it is read; NULL: none
static bool wrong_images;           // of free runs: the first value they are given is
static int opens_until_faulty = -1; // backends that are opened before the one that is wrong; -1: it is none

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

static int read_a_wrong_tensor(bl_plan *plan, const bl_tensor *tensor, double *dst) {
    if (sound->read(plan, tensor, dst)) return BL_FAILED;
    if (wrong_tensor && !strcmp(tensor->name, wrong_tensor)) dst[0] += fault;
    return BL_OK;
}

static int write_wrong_images(bl_plan *plan, const bl_tensor *tensor, const double *src) {
    const size_t bytes = (size_t)bl_shape_count(&tensor->shape) * sizeof *src;
    double *values = malloc(bytes);
    assert_non_null(values);
    memcpy(values, src, bytes);
    if (wrong_images) values[0] += fault;
    const int status = sound->write(plan, tensor, values);
    free(values);
    return status;
}

int bl_backend_open(bl_backend **backend, const char *name, const bl_backend_options *options) {
    int (*next)(bl_backend **, const char *, const bl_backend_options *);
    bl_test_next("bl_backend_open", &next);
    if (next(backend, name, options)) return BL_FAILED;
    if (opens_until_faulty < 0 || opens_until_faulty-- > 0) return BL_OK;
    sound = (*backend)->table;
    faulty.close = sound->close;
    (*backend)->table = &faulty;
    return BL_OK;
}

// The reference against a reference with these faults.
static void compare_with_faults(bl_compare_mode mode, bl_text *table, bool *pass) {
    if (bl_test_backend_is_named()) skip(); // no other backend has a part in it
    bl_backend *reference;
    assert_ok(bl_backend_open(&reference, "reference", &(bl_backend_options){.threads = 1, .isa = ""}));
    sound = reference->table;
    bl_backend_close(reference);
    faulty = *sound;
    faulty.read = mode == BL_COMPARE_ISOLATED ? read_with_fault : read_a_wrong_tensor;
    faulty.write = mode == BL_COMPARE_ISOLATED ? sound->write : write_wrong_images;
    opens_until_faulty = 1;
    compare("reference", BL_F32, mode, table, pass);
    opens_until_faulty = -1;
}

// Whether the error in a free run's row of that name is 0; every name has one row.
static bool is_same(const bl_text *table, const char *tensor) {
    char begin[96];
    const char *row = NULL;
    snprintf(begin, sizeof begin, "\n%s ", tensor);
    row = strstr(table->chars, begin);
    if (!row) fail_msg("no row of %s in\n%s", tensor, table->chars);
    return !memcmp(strchr(row + 1, '\n') - 9, " 0.00e+00", 9);
}

static int rows_that_differ(const bl_text *table, int *rows) {
    int count = 0;
    *rows = 0;
    for (const char *line = strchr(table->chars, '\n') + 1; *line; line = strchr(line, '\n') + 1, ++*rows)
        count += memcmp(strchr(line, '\n') - 9, " 0.00e+00", 9) != 0;
    return count;
}

static void free_run_that_is_wrong_in_one_tensor_differs_in_its_row_alone(void **state) {
    (void)state;
    static const char *const tensors[] = {"online/bn1", "loss"};
    for (int i = 0; i <= 2; i++) { // at last in none
        bl_text table = {0};
        bool pass;
        int rows;
        wrong_tensor = i < 2 ? tensors[i] : NULL;
        fault = 1e-3;
        compare_with_faults(BL_COMPARE_CHAINED, &table, &pass);
        assert_true(pass);
        const int differ = rows_that_differ(&table, &rows);
        assert_true(rows > 300);
        bl_test_holds(table.chars, " squared relative error\n");
        assert_int_equal(differ, i < 2);
        if (i < 2) assert_false(is_same(&table, tensors[i]));
        bl_text_free(&table);
    }
}

static void free_run_on_other_images_differs_in_all_that_follows_them(void **state) {
    (void)state;
    static const char *const followers[] = {"online/conv1", "online/layer4.1.bn2", "target/conv1", "loss", "store/online/parameters/conv1.weight",
                                            "store/target/parameters/conv1.weight"};
    bl_text table = {0};
    bool pass;
    wrong_images = true;
    fault = 1;
    compare_with_faults(BL_COMPARE_CHAINED, &table, &pass);
    wrong_images = false;
    assert_true(pass);
    for (size_t i = 0; i < sizeof followers / sizeof *followers; i++)
        if (is_same(&table, followers[i])) fail_msg("%s is the same in\n%s", followers[i], table.chars);
    bl_text_free(&table);
}

static void free_run_with_a_value_that_is_not_finite_does_not_pass(void **state) {
    (void)state;
    bl_text table = {0};
    bool pass;
    wrong_tensor = "loss";
    fault = NAN;
    compare_with_faults(BL_COMPARE_CHAINED, &table, &pass);
    wrong_tensor = NULL;
    assert_false(pass);
    bl_text_free(&table);
}

static void table_fails_the_operator_that_is_wrong_and_no_other(void **state) {
    (void)state;
    bl_text table = {0};
    bool pass;
    fault = 1;
    compare_with_faults(BL_COMPARE_ISOLATED, &table, &pass);
    assert_false(pass);
    int failed = 0;
    for (const char *line = table.chars; line && *line && *line != '\n'; line = strchr(line, '\n'), line += line != NULL) {
        const bool is_add = !strncmp(line, "add ", 4);
        const char *verdict = strstr(line, "  FAIL ");
        const bool fails = verdict && verdict < strchr(line, '\n');
        if (fails != is_add) fail_msg("%s", line);
        failed += fails;
    }
    assert_int_equal(failed, 1);
    bl_test_holds(table.chars, " worst squared relative error ");
    bl_test_holds(table.chars, "\nadd ");
    bl_test_holds(table.chars, "; worst at value 5: ");
    bl_text_free(&table);
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
            cmocka_unit_test(table_fails_the_operator_that_is_wrong_and_no_other),
            cmocka_unit_test(free_run_that_is_wrong_in_one_tensor_differs_in_its_row_alone),
            cmocka_unit_test(free_run_on_other_images_differs_in_all_that_follows_them),
            cmocka_unit_test(free_run_with_a_value_that_is_not_finite_does_not_pass),
            cmocka_unit_test(every_node_of_a_step_agrees_on_every_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
