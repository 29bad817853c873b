// What every backend promises beside arithmetic: opening, stores, staging slots, phases.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "base/memory.h"
#include "support.h"

static const bl_backend_options one_thread = {.threads = 1, .isa = ""};

// Runs `check` on every backend that opens here.
static void on_every_backend(void (*check)(bl_backend *backend)) {
    for (const char *const *name = bl_test_backends(); *name; name++) {
        bl_backend *backend;
        assert_ok(bl_backend_open(&backend, *name, &one_thread));
        assert_string_equal(backend->table->name, *name);
        check(backend);
        bl_backend_close(backend);
    }
}

// ---- opening ----

static void reference_is_always_there(void **state) {
    (void)state;
    assert_true(bl_backend_present("reference"));
    assert_string_equal(bl_backend_names()[0], "reference");
}

static void unknown_backend_is_refused_with_those_there_are(void **state) {
    (void)state;
    bl_backend *backend;
    assert_int_not_equal(bl_backend_open(&backend, "abacus", &one_thread), BL_OK);
    assert_non_null(strstr(bl_error(), "abacus"));
    assert_non_null(strstr(bl_error(), "reference"));
}

static void check_description(bl_backend *backend) {
    bl_text text = {0};
    backend->table->describe(backend, &text);
    assert_non_null(strstr(text.chars, backend->table->name));
    if (!backend->table->is_asynchronous) assert_non_null(strstr(text.chars, "threads: 1")); // a GPU has none
    bl_text_free(&text);
}

static void description_names_backend_and_threads(void **state) {
    (void)state;
    on_every_backend(check_description);
}

// ---- stores ----

// "online" with a weight and a buffer, and its twin "target".
static bl_layout *small_layout(void) {
    bl_layout *layout;
    int online, target, index;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_layout_network(layout, "online", true, &online));
    assert_ok(bl_layout_network(layout, "target", false, &target));
    layout->networks[target].twin_of = "online";
    const bl_segment weight = {.name = "weight", .shape = {2, {3, 5}}, .init = {.kind = BL_INIT_UNIFORM_FAN_IN, .fan = 5}, .lr_scale = 1};
    const bl_segment bias = {.name = "bias", .shape = {1, {3}}, .init = {.kind = BL_INIT_UNIFORM_FAN_IN, .fan = 5}, .lr_scale = 1};
    for (int n = 0; n < 2; n++) {
        assert_ok(bl_layout_parameter(layout, n, &weight, &index));
        assert_ok(bl_layout_parameter(layout, n, &bias, &index));
        assert_ok(bl_layout_buffer(layout, n, "running_var", (bl_shape){1, {3}}, (bl_init){.kind = BL_INIT_ONE}, &index));
    }
    return layout;
}

enum { block_floats = 32, bias_at = 16 }; // 15 and 3 values, each rounded up to 16

static void check_store(bl_backend *backend) {
    bl_layout *layout = small_layout();
    bl_store *store;
    assert_ok(bl_store_create(backend, layout, &store));
    assert_true(layout->sealed);
    const bl_place whole = {0, BL_PARAMETERS, BL_WHOLE_BLOCK}, bias = {0, BL_PARAMETERS, 1};
    const bl_place finite = {BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALAR_FINITE};
    assert_int_equal(bl_place_count(layout, whole), block_floats);
    assert_int_equal(bl_place_count(layout, bias), 3);
    double values[block_floats], three[3], flag;
    assert_ok(bl_store_read(store, finite, &flag));
    assert_true(flag == 1);
    for (int kind = 0; kind < BL_BLOCK_KINDS; kind++) {
        const bl_place place = {0, (bl_block_kind)kind, BL_WHOLE_BLOCK};
        assert_ok(bl_store_read(store, place, values));
        for (size_t i = 0; i < bl_place_count(layout, place); i++) assert_true(values[i] == 0);
    }
    for (int i = 0; i < block_floats; i++) values[i] = i;
    assert_ok(bl_store_write(store, whole, values));
    assert_ok(bl_store_write(store, bias, (const double[]){0.5, 1.5, 2.5}));
    assert_ok(bl_store_read(store, bias, three));
    assert_true(three[0] == 0.5 && three[2] == 2.5);
    assert_ok(bl_store_read(store, whole, values));
    assert_true(values[bias_at - 1] == bias_at - 1 && values[bias_at] == 0.5 && values[bias_at + 3] == bias_at + 3);
    assert_true(bl_store_holds_f32(store) == !!strcmp(backend->table->name, "reference"));
    if (bl_store_holds_f32(store)) {
        float single[block_floats];
        assert_ok(bl_store_read_f32(store, whole, single));
        for (int i = 0; i < block_floats; i++) assert_true(single[i] == values[i]);
        assert_int_not_equal(bl_store_read_f32(store, (bl_place){1, BL_GRADIENTS, BL_WHOLE_BLOCK}, single), BL_OK);
    }
    bl_store_free(store);
    bl_layout_free(layout);
}

static void store_keeps_segments_inside_their_block(void **state) {
    (void)state;
    on_every_backend(check_store);
}

static void check_places(bl_backend *backend) {
    bl_layout *layout = small_layout();
    bl_store *store;
    assert_ok(bl_store_create(backend, layout, &store));
    double values[block_floats] = {0};
    assert_int_not_equal(bl_store_write(store, (bl_place){1, BL_GRADIENTS, BL_WHOLE_BLOCK}, values), BL_OK);
    assert_non_null(strstr(bl_error(), "target"));
    assert_int_not_equal(bl_store_read(store, (bl_place){2, BL_PARAMETERS, 0}, values), BL_OK);
    assert_int_not_equal(bl_store_read(store, (bl_place){0, BL_PARAMETERS, 2}, values), BL_OK);
    assert_int_not_equal(bl_store_read(store, (bl_place){BL_SCALAR_NETWORK, BL_PARAMETERS, BL_SCALARS}, values), BL_OK);
    bl_store_free(store);
    bl_layout_free(layout);
}

static void place_that_does_not_exist_is_refused(void **state) {
    (void)state;
    on_every_backend(check_places);
}

static void check_initial(bl_backend *backend) {
    bl_layout *layout = small_layout();
    bl_store *store;
    assert_ok(bl_store_create(backend, layout, &store));
    double online[block_floats], target[block_floats], other[block_floats], expected[15], variance[16];
    assert_ok(bl_store_initialize(store, 7, true));
    assert_ok(bl_store_read(store, (bl_place){0, BL_PARAMETERS, BL_WHOLE_BLOCK}, online));
    assert_ok(bl_store_read(store, (bl_place){1, BL_PARAMETERS, BL_WHOLE_BLOCK}, target));
    assert_ok(bl_store_read(store, (bl_place){1, BL_BUFFERS, 0}, variance));
    assert_memory_equal(online, target, sizeof online);
    assert_true(variance[0] == 1 && variance[2] == 1);
    bl_segment_initial(&layout->networks[0].parameters.items[0], 7, expected);
    assert_memory_equal(online, expected, sizeof expected);
    assert_true(online[15] == 0); // padding

    assert_ok(bl_store_initialize(store, 7, false));
    assert_ok(bl_store_read(store, (bl_place){0, BL_PARAMETERS, BL_WHOLE_BLOCK}, other));
    assert_ok(bl_store_read(store, (bl_place){1, BL_PARAMETERS, BL_WHOLE_BLOCK}, target));
    assert_memory_equal(online, other, sizeof online); // the target's origin moves nothing of the online network
    for (int i = 0; i < 15; i++) assert_true(target[i] != online[i]);
    bl_store_free(store);
    bl_layout_free(layout);
}

static void target_starts_as_a_copy_or_on_its_own(void **state) {
    (void)state;
    on_every_backend(check_initial);
}

// ---- plans ----

typedef struct doubler { // y = x + x, and x accumulated into the gradient of "weight"
    bl_layout *layout;
    bl_graph *graph;
    bl_store *store;
    bl_plan *plan;
    bl_tensor *x, *y;
} doubler;

static void doubler_make(doubler *d, bl_backend *backend) {
    bl_tensor *gradient;
    bl_node *add;
    d->layout = small_layout();
    assert_ok(bl_graph_create(&d->graph, d->layout));
    assert_ok(bl_graph_input(d->graph, "x", BL_F32, (bl_shape){2, {3, 5}}, &d->x));
    assert_ok(bl_graph_stored(d->graph, (bl_place){0, BL_GRADIENTS, 0}, &gradient));
    assert_ok(bl_graph_node(d->graph, BL_OP_ADD, "y", NULL, (bl_tensor *[]){d->x, d->x}, 2, &add));
    assert_ok(bl_graph_node(d->graph, BL_OP_ACCUMULATE, "accumulate", NULL, (bl_tensor *[]){d->x, gradient}, 2, NULL));
    d->y = add->outputs[0];
    assert_ok(bl_store_create(backend, d->layout, &d->store));
    assert_ok(bl_plan_compile(d->store, d->graph, &(bl_compile_options){.accumulate = 2}, &d->plan));
}

static void doubler_free(doubler *d) {
    bl_plan_free(d->plan);
    bl_store_free(d->store);
    bl_graph_free(d->graph);
    bl_layout_free(d->layout);
}

static void expect_all(const doubler *d, double value) {
    double y[15];
    assert_ok(bl_plan_read(d->plan, d->y, y));
    for (int i = 0; i < 15; i++) assert_true(y[i] == value);
}

static void stage(doubler *d, int slot, float value) {
    float *host;
    assert_ok(bl_plan_slot(d->plan, slot, d->x, &host));
    for (int i = 0; i < 15; i++) host[i] = value;
}

static void check_slots(bl_backend *backend) {
    doubler d;
    doubler_make(&d, backend);
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) stage(&d, slot, (float)slot + 1);
    for (int slot = BL_STAGING_SLOTS - 1; slot >= 0; slot--) {
        assert_ok(bl_plan_step(d.plan, slot, BL_PHASE_MICRO));
        expect_all(&d, 2 * (slot + 1));
    }
    stage(&d, 1, 50); // a slot may be filled again after its step
    assert_ok(bl_plan_step(d.plan, 1, BL_PHASE_MICRO));
    expect_all(&d, 100);
    doubler_free(&d);
}

static void each_slot_holds_its_own_input(void **state) {
    (void)state;
    on_every_backend(check_slots);
}

static void check_write(bl_backend *backend) {
    doubler d;
    doubler_make(&d, backend);
    double x[15];
    for (int i = 0; i < 15; i++) x[i] = 3;
    stage(&d, 0, 1);
    assert_ok(bl_plan_write(d.plan, d.x, x));
    for (int slot = 0; slot < BL_STAGING_SLOTS; slot++) {
        assert_ok(bl_plan_step(d.plan, slot, BL_PHASE_MICRO));
        expect_all(&d, 6);
    }
    doubler_free(&d);
}

static void direct_write_holds_for_every_slot(void **state) {
    (void)state;
    on_every_backend(check_write);
}

static void check_accumulation(bl_backend *backend) {
    doubler d;
    doubler_make(&d, backend);
    double sum[15];
    for (int step = 1; step <= 2; step++) {
        stage(&d, 0, (float)step);
        assert_ok(bl_plan_step(d.plan, 0, BL_PHASE_MICRO));
    }
    assert_ok(bl_store_read(d.store, (bl_place){0, BL_GRADIENTS, 0}, sum));
    for (int i = 0; i < 15; i++) assert_true(sum[i] == 1 + 2);
    assert_ok(bl_plan_step(d.plan, 0, BL_PHASE_UPDATE)); // has nothing to do here
    assert_ok(bl_store_read(d.store, (bl_place){0, BL_GRADIENTS, 0}, sum));
    assert_true(sum[0] == 3);
    doubler_free(&d);
}

static void micro_steps_accumulate_and_updates_do_not(void **state) {
    (void)state;
    on_every_backend(check_accumulation);
}

static void check_misuse(bl_backend *backend) {
    doubler d;
    doubler_make(&d, backend);
    float *host;
    double values[block_floats];
    assert_int_not_equal(bl_plan_slot(d.plan, BL_STAGING_SLOTS, d.x, &host), BL_OK);
    assert_int_not_equal(bl_plan_slot(d.plan, 0, d.y, &host), BL_OK);
    assert_int_not_equal(bl_plan_step(d.plan, -1, BL_PHASE_MICRO), BL_OK);
    assert_int_not_equal(bl_plan_write(d.plan, d.y, values), BL_OK);
    bl_layout *foreign = small_layout();
    bl_store *store;
    bl_plan *plan;
    assert_ok(bl_store_create(backend, foreign, &store));
    assert_int_not_equal(bl_plan_compile(store, d.graph, &(bl_compile_options){.accumulate = 1}, &plan), BL_OK);
    bl_store_free(store);
    bl_layout_free(foreign);
    doubler_free(&d);
}

static void misuse_of_a_plan_is_refused(void **state) {
    (void)state;
    on_every_backend(check_misuse);
}

static void check_report(bl_backend *backend) {
    doubler d;
    doubler_make(&d, backend);
    backend->table->timing(d.plan, true);
    assert_ok(bl_plan_step(d.plan, 0, BL_PHASE_MICRO));
    expect_all(&d, 0);
    bl_plan_report report;
    backend->table->report(d.plan, &report);
    assert_int_equal(report.count, d.graph->node_count);
    for (int i = 0; i < report.count; i++) {
        assert_ptr_equal(report.rows[i].node, d.graph->nodes[i]);
        assert_non_null(report.rows[i].implementation);
        assert_true(report.rows[i].seconds >= 0);
    }
    doubler_free(&d);
}

static void report_has_a_row_a_node(void **state) {
    (void)state;
    on_every_backend(check_report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(reference_is_always_there),
            cmocka_unit_test(unknown_backend_is_refused_with_those_there_are),
            cmocka_unit_test(description_names_backend_and_threads),
            cmocka_unit_test(store_keeps_segments_inside_their_block),
            cmocka_unit_test(place_that_does_not_exist_is_refused),
            cmocka_unit_test(target_starts_as_a_copy_or_on_its_own),
            cmocka_unit_test(each_slot_holds_its_own_input),
            cmocka_unit_test(direct_write_holds_for_every_slot),
            cmocka_unit_test(micro_steps_accumulate_and_updates_do_not),
            cmocka_unit_test(misuse_of_a_plan_is_refused),
            cmocka_unit_test(report_has_a_row_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
