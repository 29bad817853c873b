// On an asynchronous backend the loop gives a step before the row of the one before it is known: the rows are the same, it never does
// so where someone looks, and a step that is not finite is still the one that is named. Whole runs too; and what a backend chose for
// its plans is chosen again when a run continues.

#include <math.h>
#include <sys/mman.h>

#include "asynchronous.h"
#include "models.h"
#include "record/container.h"
#include "run_rig.h"
#include "train/loop.h"

// ---- the loop ----

enum { STEPS = 11, BATCH = 2, SAMPLES = 8, SIDE = 8, NONE = -1 };

typedef struct rig { // a small BYOL step and its loop
    bl_layout *layout;
    bl_step_graph graph;
    bl_backend *backend;
    bl_store *store;
    bl_plan *plan;
    bl_loader *loader;
    bl_loop *loop;
    size_t values;      // of a batch
    int filled;         // batches so far
    int bad;            // the one that holds a NaN
} rig;

static void fill(const rig *r, int batch, float *images) {
    for (size_t i = 0; i < r->values; i++) images[i] = (float)sin(1.7 * batch + 0.37 * (double)i);
    if (batch == r->bad) images[5] = NAN;
}

static int make_batch(const void *context, const bl_slot *slot, int first, int end, void *workspace) {
    rig *r = (rig *)context;
    (void)first, (void)end, (void)workspace;
    fill(r, r->filled++, slot->images);
    return BL_OK;
}

static bool never(void *context, int64_t step) {
    (void)context, (void)step;
    return false;
}

static bool every_third(void *context, int64_t step) {
    (void)context;
    return step % 3 == 2;
}

static void open_rig(rig *r, bool is_asynchronous, int accumulate, int bad, bool (*looks_after)(void *, int64_t)) {
    const bl_model_options model = {.encoder = RESNET18(2), .projector = MLP(8, 4, BL_NORM_HIDDEN), .image_size = SIDE,
                                    .method = {.predictor_head = MLP(8, 4, BL_NORM_HIDDEN), .predictor_lr_scale = 1, .stop_gradient = true},
                                    .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = 0.9}};
    *r = (rig){.bad = bad};
    assert_ok(bl_layout_create(&r->layout));
    assert_ok(bl_byol_build(&r->graph, r->layout, &model, BATCH));
    assert_ok(bl_backend_open(&r->backend, "reference", &(bl_backend_options){.threads = 1, .isa = ""}));
    if (is_asynchronous) make_asynchronous(r->backend);
    assert_ok(bl_store_create(r->backend, r->layout, &r->store));
    assert_ok(bl_store_initialize(r->store, 3, true));
    bl_tensor *watch[BL_WATCHED];
    const bl_compile_options compile = {.accumulate = accumulate, .watch = watch, .watch_count = bl_loop_watch(&r->graph, watch)};
    assert_ok(bl_plan_compile(r->store, r->graph.graph, &compile, &r->plan));
    r->values = (size_t)bl_shape_count(&r->graph.images->shape);
    const bl_maker maker = {.context = r, .make = make_batch, .available = SAMPLES, .set = "waves", .samples_a_task = BATCH};
    assert_ok(bl_loader_create(&r->loader, &maker, 0, BL_STAGING_SLOTS));
    const bl_loop_options loop = {.graph = &r->graph, .plan = r->plan, .store = r->store, .loader = r->loader,
                                  .sample_count = SAMPLES, .seed = 5, .shuffle = true, .batch = BATCH, .accumulate = accumulate,
                                  .steps = STEPS, .schedule = {.kind = BL_SCHEDULE_COSINE, .base = 0.05}, .tau = 0.9,
                                  .tau_schedule = BL_SCHEDULE_COSINE, .looks_after = looks_after};
    assert_ok(bl_loop_create(&r->loop, &loop, 0));
}

static void close_rig(rig *r) {
    bl_loop_free(r->loop);
    bl_loader_free(r->loader);
    bl_plan_free(r->plan);
    bl_store_free(r->store);
    bl_backend_close(r->backend);
    bl_graph_free(r->graph.graph);
    bl_layout_free(r->layout);
}

static int steps_given(const rig *r) { return record_of(r->plan)->given; }

static void run_rows(rig *r, bl_step_row rows[STEPS]) {
    int bad_slot;
    for (int step = 0; step < STEPS; step++) assert_ok(bl_loop_step(r->loop, &rows[step], &bad_slot));
}

// What an update moves: every network's parameters, and the moments of those that learn.
static void assert_same_weights(const rig *a, const rig *b) {
    static const bl_block_kind kinds[] = {BL_PARAMETERS, BL_MOMENT1};
    for (int n = 0; n < a->layout->network_count; n++)
        for (int k = 0; k < 2; k++) {
            if (kinds[k] == BL_MOMENT1 && !a->layout->networks[n].trainable) continue;
            const bl_place place = {n, kinds[k], BL_WHOLE_BLOCK};
            const size_t count = bl_place_count(a->layout, place);
            double *ours = malloc(count * sizeof *ours), *theirs = malloc(count * sizeof *theirs);
            assert_ok(bl_store_read(a->store, place, ours));
            assert_ok(bl_store_read(b->store, place, theirs));
            assert_memory_equal(ours, theirs, count * sizeof *ours);
            free(ours);
            free(theirs);
        }
}

static void rows_and_weights_are_the_same_bits_as_one_step_at_a_time(void **state) {
    (void)state;
    static const struct {
        int accumulate;
        bool (*looks_after)(void *, int64_t);
    } cases[] = {{1, never}, {1, every_third}, {1, NULL}, {2, never}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig one, ahead;
        bl_step_row expected[STEPS] = {0}, rows[STEPS] = {0};
        open_rig(&one, false, cases[i].accumulate, NONE, cases[i].looks_after);
        open_rig(&ahead, true, cases[i].accumulate, NONE, cases[i].looks_after);
        run_rows(&one, expected);
        run_rows(&ahead, rows);
        assert_memory_equal(rows, expected, sizeof rows);
        for (int step = 1; step < STEPS; step++) assert_true(rows[step].loss != rows[step - 1].loss);
        assert_same_weights(&ahead, &one);
        close_rig(&ahead);
        close_rig(&one);
    }
}

static void the_loop_is_one_step_ahead_wherever_nobody_looks_and_nowhere_else(void **state) {
    (void)state;
    static const struct {
        int accumulate;
        bool (*looks_after)(void *, int64_t);
        bool is_ahead[STEPS]; // after each row
    } cases[] = {
        {1, never, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0}}, // there is nothing behind the last
        {1, every_third, {1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0}},
        {1, NULL, {0}},
        {2, never, {0}}, // micro steps of one update
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig r;
        bl_step_row row;
        int bad_slot;
        open_rig(&r, true, cases[i].accumulate, NONE, cases[i].looks_after);
        for (int step = 0; step < STEPS; step++) {
            assert_ok(bl_loop_step(r.loop, &row, &bad_slot));
            assert_int_equal(row.step, step);
            assert_int_equal(steps_given(&r), cases[i].accumulate * (step + 1) + cases[i].is_ahead[step]);
            assert_int_equal(record_of(r.plan)->done, cases[i].accumulate * (step + 1)); // no one waited for more
        }
        close_rig(&r);
    }
}

static void a_step_that_is_not_finite_is_named_with_its_batch_intact_and_the_one_behind_it_changes_nothing(void **state) {
    (void)state;
    static const struct {
        int accumulate, bad, step;
    } cases[] = {{1, 0, 0}, {1, 4, 4}, {1, 5, 5}, {1, STEPS - 1, STEPS - 1}, {2, 7, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig rigs[2];
        for (int k = 0; k < 2; k++) {
            rig *r = &rigs[k];
            bl_step_row row;
            int bad_slot, step = 0;
            open_rig(r, k, cases[i].accumulate, cases[i].bad, never);
            while (bl_loop_step(r->loop, &row, &bad_slot) == BL_OK) step++;
            char message[32];
            snprintf(message, sizeof message, "step %d is not finite", cases[i].step);
            bl_test_holds(bl_error(), message);
            assert_int_equal(step, cases[i].step);
            assert_int_equal(bad_slot, cases[i].bad % BL_STAGING_SLOTS);
            float *images, *expected = malloc(r->values * sizeof *expected);
            fill(r, cases[i].bad, expected);
            assert_ok(bl_plan_slot(r->plan, bad_slot, r->graph.images, &images));
            assert_memory_equal(images, expected, r->values * sizeof *images);
            free(expected);
        }
        if (cases[i].accumulate == 1 && cases[i].step < STEPS - 1) assert_int_equal(steps_given(&rigs[1]), cases[i].step + 2);
        assert_same_weights(&rigs[1], &rigs[0]);
        for (int k = 1; k >= 0; k--) close_rig(&rigs[k]);
    }
}

static void a_plan_that_does_not_watch_what_a_loop_reads_is_refused(void **state) {
    (void)state;
    rig r;
    bl_plan *blind;
    bl_loop *loop;
    open_rig(&r, false, 1, NONE, NULL);
    assert_ok(bl_plan_compile(r.store, r.graph.graph, &(bl_compile_options){.accumulate = 1}, &blind));
    const bl_loop_options options = {.graph = &r.graph, .plan = blind, .store = r.store, .sample_count = SAMPLES, .batch = BATCH,
                                     .accumulate = 1, .steps = STEPS};
    assert_int_equal(bl_loop_create(&loop, &options, 0), BL_FAILED);
    bl_test_holds(bl_error(), "bl_loop_watch");
    bl_plan_free(blind);
    close_rig(&r);
}

// What comes again in an update is drawn anew where it comes in one batch; a second batch would not know of the first.
static void samples_that_do_not_fill_several_micro_steps_are_refused(void **state) {
    (void)state;
    rig r;
    bl_loop *loop;
    open_rig(&r, false, 1, NONE, NULL);
    bl_loop_options options = {.graph = &r.graph, .plan = r.plan, .store = r.store, .loader = r.loader, .sample_count = 3, .batch = BATCH,
                               .accumulate = 2, .steps = STEPS};
    assert_int_equal(bl_loop_create(&loop, &options, 0), BL_FAILED);
    assert_string_equal(bl_error(), "3 samples do not fill an update of 2 batches of 2: write fewer or smaller ones");
    options.accumulate = 1;
    options.sample_count = 1;
    assert_ok(bl_loop_create(&loop, &options, 0));
    bl_loop_free(loop);
    close_rig(&r);
}

// ---- whole runs ----

static const char recipe[] =
        "data: {dataset: shapes, train: 48, test: 40}\n"
        "views:\n"
        "  - {random_resized_crop: {size: 32}, flip: 0.5, grayscale: 0.2, normalize: imagenet}\n"
        "network: {encoder: resnet18, stem: cifar, width: 2, projector: {hidden: 8, out: 4}}\n"
        "method:\n"
        "  predictor: {kind: mlp, hidden: 8}\n"
        "  target: {source: ema, tau: 0.9}\n"
        "train: {epochs: 3, batch: 8, optimizer: {kind: adam, lr: 1.0e-3}, schedule: cosine, log_every: 1, checkpoint_every: 5, collapse_every: 8}\n"
        "machine: {threads: 1, loader_threads: 1}\n"
        "evaluate:\n"
        "  - knn: {at: [1], k: 3, protocol: train_to_test, split: test, monitor: test}\n";

// How a child's runs see their backend, and what was seen of them there.
static struct {
    bool is_asynchronous, has_choices;
    const char *chosen;  // by a run that recalls nothing
    char recalled[64];
    bool was_compiled;
    bool recalled_late;  // behind a plan that was compiled already
    int ahead, waited;   // rows that were waited for with the next step given, and all
    int tf32_batches[8], tf32_count, exact_count; // of the plans that may round to TF32 their batch; how many may not
    bool is_eager;
    bool is_short;       // of memory for a plan that keeps every tensor
} *shared;

static int counting_watched(bl_plan *plan, int back, double *values, double *finite) {
    shared->ahead += back;
    shared->waited++;
    return later_watched(plan, back, values, finite);
}

static int noting_compile(bl_backend *backend, bl_store *store, const bl_graph *graph, const bl_compile_options *options, bl_plan **plan) {
    shared->was_compiled = true;
    if (options->tf32) shared->tf32_batches[shared->tf32_count++ % 8] = options->batch;
    else shared->exact_count++;
    if (shared->is_short && options->observe_all) return bl_fail("12 GiB are needed");
    return asynchronous.real->compile(backend, store, graph, options, plan);
}

static void give_choices(const bl_backend *backend, bl_text *text) {
    (void)backend;
    bl_text_add(text, "%s", *shared->recalled ? shared->recalled : shared->chosen);
}

static int take_choices(bl_backend *backend, const char *choices) {
    (void)backend;
    shared->recalled_late = shared->was_compiled;
    snprintf(shared->recalled, sizeof shared->recalled, "%s", choices);
    return BL_OK;
}

// Stands before the library's own: a run opens its backend by name. There may be no GPU: `cudnn` is another one here.
int bl_backend_open(bl_backend **backend, const char *name, const bl_backend_options *options) {
    int (*open)(bl_backend **, const char *, const bl_backend_options *);
    bl_test_next("bl_backend_open", &open);
    if (open(backend, strcmp(name, "cudnn") ? name : bl_test_backend(), options)) return BL_FAILED;
    if (!shared || !shared->is_asynchronous) return BL_OK;
    shared->is_eager = options->eager;
    make_asynchronous(*backend);
    asynchronous.table.watched = counting_watched;
    asynchronous.table.compile = noting_compile;
    if (shared->has_choices) {
        asynchronous.table.choices = give_choices;
        asynchronous.table.recall = take_choices;
    }
    return BL_OK;
}

static void expect_run(const plan_of_run *plan, int status) {
    char says[512];
    const int ended = run_child(*plan, says);
    if (ended != status) fail_msg("%d: %s", ended, says);
}

static void a_run_ahead_leaves_the_same_file_killed_or_not(void **state) {
    (void)state;
    static const struct {
        const char *what;
        bl_override set[6];
        int64_t kill_at;
        int ahead; // of 18 steps; of a killed run not counted
    } cases[] = {
        // Looked at: 4, 9 and 14 (checkpoints), 8, 9, 16 and 17 (diagnoses of two batches), 5 (k-NN), 17 (the last); not the end of epoch 2.
        {"evaluation, checkpoints and diagnoses", {{0}}, 0, 11},
        {"killed between checkpoints", {{0}}, 13, 0},
        {"the end of epoch 2 for a plateau", {{"train.schedule", "plateau"}, {"train.factor", "0.5"}, {"train.patience", "0"}, {"train.optimizer.lr", "0.5"}}, 0, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        snprintf(name, sizeof name, "ahead_%zu", i);
        char *one = joined(bl_test_here(), cases[i].set[0].key ? name + 1 : "one"), *ahead = joined(bl_test_here(), name);
        plan_of_run plan = {.backend = bl_test_backend(), .results = one};
        memcpy(plan.more, cases[i].set, sizeof plan.more);
        memset(shared, 0, sizeof *shared);
        expect_run(&plan, 0);
        shared->is_asynchronous = true;
        plan.results = ahead;
        plan.kill_at = cases[i].kill_at;
        if (plan.kill_at) expect_run(&plan, SIGKILL);
        plan.kill_at = 0;
        expect_run(&plan, 0);
        char *a = run_file(one, plan.backend), *b = run_file(ahead, plan.backend);
        print_message("%s: %d of %d rows were waited for with the next step given\n", cases[i].what, shared->ahead, shared->waited);
        if (!cases[i].kill_at) assert_int_equal(shared->ahead, cases[i].ahead);
        assert_same_run(a, b);
        free(a);
        free(b);
        free(one);
        free(ahead);
    }
}

static void a_bad_step_is_named_though_the_next_one_was_given(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "exploded"), says[512], ahead_says[512];
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .set_key = "train.optimizer",
                        .set_value = "{kind: sgd, lr: 1000, momentum: 0, weight_decay: 100}", // weights grow until f64 ends too
                        .more = {{"train.schedule", "constant"}, {"train.epochs", "8"}, {"evaluate", "[]"}}};
    memset(shared, 0, sizeof *shared);
    assert_int_equal(run_child(plan, says), 1);
    shared->is_asynchronous = true;
    char *checkpoint = NULL; // all begin at step 0
    assert_true(asprintf(&checkpoint, "%s/recipe/main/seed-7.%s.ckpt", results, plan.backend) > 0);
    unlink(checkpoint);
    assert_int_equal(run_child(plan, ahead_says), 1);
    bl_test_holds(says, "is not finite, first in '");
    assert_string_equal(ahead_says, says);
    assert_true(shared->ahead > 0);

    shared->is_short = true;
    unlink(checkpoint);
    assert_int_equal(run_child(plan, ahead_says), 1);
    *strstr(says, ", first in '") = '\0';
    bl_test_holds(ahead_says, says); // the step is named all the same
    bl_test_holds(ahead_says, "is not known: 12 GiB are needed");
    free(checkpoint);
    free(results);
}

static char *choices_in(const char *path) {
    bl_container_reader *reader = opened(path);
    char *text = NULL;
    if (bl_container_has(reader, "/host/choices")) assert_ok(bl_container_get_text(reader, "/host/choices", &text));
    bl_container_reader_close(reader);
    return text;
}

static void expect_choices(const char *path, const char *expected) {
    char *text = choices_in(path);
    assert_non_null(text);
    assert_string_equal(text, expected);
    bl_free(text);
}

static void what_was_chosen_is_chosen_again_before_anything_is_compiled(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "chosen");
    plan_of_run plan = {.backend = bl_test_backend(), .results = results, .kill_at = 10};
    memset(shared, 0, sizeof *shared);
    shared->is_asynchronous = shared->has_choices = true;
    shared->chosen = "engine 7";
    expect_run(&plan, SIGKILL);
    assert_string_equal(shared->recalled, ""); // a new run has nothing to recall

    shared->chosen = "engine 9"; // another one would be chosen now
    shared->was_compiled = false;
    plan.kill_at = 0;
    expect_run(&plan, 0);
    assert_string_equal(shared->recalled, "engine 7");
    assert_false(shared->recalled_late);
    char *path = run_file(results, plan.backend);
    expect_choices(path, "engine 7");

    shared->recalled[0] = '\0';
    shared->was_compiled = false;
    plan.more[0] = (bl_override){"evaluate", "[{knn: {k: 5, split: test}}]"};
    plan.evaluate_only = true;
    expect_run(&plan, 0);
    assert_string_equal(shared->recalled, "engine 7");
    assert_false(shared->recalled_late);
    expect_choices(path, "engine 7");
    free(path);
    free(results);
}

static void a_backend_that_chooses_nothing_leaves_nothing(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "silent");
    const plan_of_run plan = {.backend = bl_test_backend(), .results = results, .more = {{"train.epochs", "1"}}};
    memset(shared, 0, sizeof *shared);
    shared->is_asynchronous = shared->has_choices = true;
    shared->chosen = "";
    expect_run(&plan, 0);
    char *path = run_file(results, plan.backend);
    assert_null(choices_in(path));
    free(path);
    free(results);
}

static void tf32_is_for_plans_that_train_and_evaluation_is_exact(void **state) {
    (void)state;
    char *results = joined(bl_test_here(), "tf32");
    const plan_of_run plan = {.backend = "cudnn", .results = results,
                              .more = {{"train.precision", "tf32"}, {"train.epochs", "1"}, {"machine.eager", "true"},
                                       {"evaluate", "[{knn: {k: 5, split: test}}, {linear: {split: test, solver: sgd, steps: 2, lr: [0.1]}}, "
                                                    "{finetune: {arms: [pretrained], shares: [100], steps: 2, batch: 12, lr: [0.1], split: test}}]"}}};
    memset(shared, 0, sizeof *shared);
    shared->is_asynchronous = true;
    expect_run(&plan, 0);
    assert_int_equal(shared->tf32_count, 4);
    for (int i = 0; i < 3; i++) assert_int_equal(shared->tf32_batches[i], 8); // the run's own training, and its network before and after
    assert_int_equal(shared->tf32_batches[3], 12);                            // fine-tuning
    assert_int_equal(shared->exact_count, 3);      // features, the head of linear evaluation, the answers of fine-tuning
    assert_true(shared->is_eager);
    free(results);
}

static int set_up(void **state) {
    (void)state;
    write_recipe(recipe);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(rows_and_weights_are_the_same_bits_as_one_step_at_a_time),
            cmocka_unit_test(the_loop_is_one_step_ahead_wherever_nobody_looks_and_nowhere_else),
            cmocka_unit_test(a_step_that_is_not_finite_is_named_with_its_batch_intact_and_the_one_behind_it_changes_nothing),
            cmocka_unit_test(a_plan_that_does_not_watch_what_a_loop_reads_is_refused),
        cmocka_unit_test(samples_that_do_not_fill_several_micro_steps_are_refused),
            cmocka_unit_test(a_run_ahead_leaves_the_same_file_killed_or_not),
            cmocka_unit_test(a_bad_step_is_named_though_the_next_one_was_given),
            cmocka_unit_test(what_was_chosen_is_chosen_again_before_anything_is_compiled),
            cmocka_unit_test(a_backend_that_chooses_nothing_leaves_nothing),
            cmocka_unit_test(tf32_is_for_plans_that_train_and_evaluation_is_exact),
    };
    return cmocka_run_group_tests(tests, set_up, bl_test_leave);
}
