// Logistic regression against scikit-learn, and a linear classifier on cached features against torch's SGD (tests/golden/logistic.py);
// what cannot be fitted is refused, and the thread count does not matter.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "graph/classifier.h"
#include "graph/schedule.h"
#include "protocols/logistic.h"
#include "support.h"

#define GOLDEN "logistic.h5"
enum { ITERATIONS = 10000 };

static double *read_golden(const char *name, int64_t *count) {
    int64_t ignored;
    return bl_test_golden(GOLDEN, name, count ? count : &ignored);
}

static bl_features read_features(void) {
    int64_t values, rows;
    double *wide = read_golden("features", &values), *classes = read_golden("labels", &rows);
    float *narrow = malloc((size_t)values * sizeof *narrow);
    uint8_t *labels = malloc((size_t)rows);
    assert_non_null(narrow);
    assert_non_null(labels);
    for (int64_t i = 0; i < values; i++) narrow[i] = (float)wide[i];
    for (int64_t i = 0; i < rows; i++) labels[i] = (uint8_t)classes[i];
    free(wide);
    free(classes);
    return (bl_features){.values = narrow, .labels = labels, .rows = rows, .width = (int)(values / rows), .classes = 4};
}

static void free_features(bl_features features) {
    free((void *)features.values);
    free((void *)features.labels);
}

static uint32_t *read_rows(const char *name, int64_t *count) {
    double *values = read_golden(name, count);
    uint32_t *rows = malloc((size_t)*count * sizeof *rows);
    assert_non_null(rows);
    for (int64_t i = 0; i < *count; i++) rows[i] = (uint32_t)values[i];
    free(values);
    return rows;
}

static bl_pool *pool_of(int threads) {
    bl_pool *pool;
    assert_ok(bl_pool_create(&pool, threads));
    return pool;
}

typedef struct study { // features in two parts, and what scikit-learn says at every l2 of the grid
    bl_features features;
    uint32_t *fitted, *held_out;
    int64_t fitted_count, held_out_count, grid;
    double *l2, *weights, *intercepts, *accuracies;
    bl_pool *pool;
} study;

static study study_open(void) {
    study s = {.features = read_features(), .pool = pool_of(2)};
    s.fitted = read_rows("fitted", &s.fitted_count);
    s.held_out = read_rows("held_out", &s.held_out_count);
    s.l2 = read_golden("l2", &s.grid);
    s.weights = read_golden("weights", NULL);
    s.intercepts = read_golden("intercepts", NULL);
    s.accuracies = read_golden("accuracies", NULL);
    return s;
}

static void study_close(study *s) {
    free_features(s->features);
    bl_pool_free(s->pool);
    free(s->fitted), free(s->held_out), free(s->l2), free(s->weights), free(s->intercepts), free(s->accuracies);
}

// At a gradient below `tolerance` the weights are within tolerance / l2 of the minimum.
static void fit(const study *s, int64_t at, bl_logistic *model) {
    assert_ok(bl_logistic_fit(model, &s->features, s->fitted, s->fitted_count, s->l2[at], ITERATIONS, 1e-10, s->pool));
    if (!model->converged) fail_msg("l2 = %g did not converge in %d iterations", s->l2[at], model->iterations);
}

static void expect_model(const study *s, int64_t at, const bl_logistic *model) {
    const int64_t classes = s->features.classes, values = classes * s->features.width;
    const double allowed = 1e-10 + 1e-8 / fmax(s->l2[at], 1e-3);
    assert_int_equal(model->classes, classes);
    assert_int_equal(model->width, s->features.width);
    const double weights = bl_test_worst(model->weights, s->weights + at * values, values);
    if (!(weights <= allowed)) fail_msg("l2 = %g: a weight is off by %.3g, at most %.1g", s->l2[at], weights, allowed);
    const double intercepts = bl_test_worst(model->intercepts, s->intercepts + at * classes, classes);
    if (!(intercepts <= allowed)) fail_msg("l2 = %g: an intercept is off by %.3g, at most %.1g", s->l2[at], intercepts, allowed);
}

static double accuracy_on(const study *s, const bl_logistic *model, const uint32_t *rows, int64_t count) {
    double accuracy;
    assert_ok(bl_logistic_accuracy(model, &s->features, rows, count, s->pool, &accuracy));
    return accuracy;
}

static void weights_intercepts_and_accuracies_are_scikit_learns(void **state) {
    (void)state;
    study s = study_open();
    for (int64_t at = 0; at < s.grid; at++) {
        bl_logistic model = {0};
        fit(&s, at, &model);
        expect_model(&s, at, &model);
        assert_true(fabs(accuracy_on(&s, &model, s.fitted, s.fitted_count) - s.accuracies[2 * at]) <= 1e-12);
        assert_true(fabs(accuracy_on(&s, &model, s.held_out, s.held_out_count) - s.accuracies[2 * at + 1]) <= 1e-12);
        bl_logistic_free(&model);
    }
    study_close(&s);
}

static int64_t best_of(const double *accuracies, int64_t count, int64_t stride) {
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (accuracies[i * stride] > accuracies[best * stride]) best = i;
    return best;
}

static void a_warm_start_along_the_grid_ends_at_the_same_weights_and_choice(void **state) {
    (void)state;
    study s = study_open();
    double *held_out = malloc((size_t)s.grid * sizeof *held_out);
    bl_logistic model = {0};
    for (int64_t at = s.grid - 1; at >= 0; at--) {
        fit(&s, at, &model);
        expect_model(&s, at, &model);
        held_out[at] = accuracy_on(&s, &model, s.held_out, s.held_out_count);
    }
    const int64_t chosen = best_of(s.accuracies + 1, s.grid, 2);
    assert_true(chosen > 0 && chosen < s.grid - 1); // a grid whose best lies inside: the choice is a choice
    assert_int_equal(best_of(held_out, s.grid, 1), chosen);
    bl_logistic_free(&model);
    free(held_out);
    study_close(&s);
}

static void chosen_rows_are_all_rows_when_none_are_named(void **state) {
    (void)state;
    study s = study_open();
    uint32_t every[256];
    for (int64_t i = 0; i < s.features.rows; i++) every[i] = (uint32_t)i;
    bl_logistic all = {0}, named = {0};
    assert_ok(bl_logistic_fit(&all, &s.features, NULL, s.features.rows, .01, ITERATIONS, 1e-10, s.pool));
    assert_ok(bl_logistic_fit(&named, &s.features, every, s.features.rows, .01, ITERATIONS, 1e-10, s.pool));
    assert_memory_equal(all.weights, named.weights, sizeof *all.weights * (size_t)(all.classes * all.width));
    bl_logistic_free(&all);
    bl_logistic_free(&named);
    study_close(&s);
}

static void the_thread_count_does_not_matter(void **state) {
    (void)state;
    study s = study_open();
    bl_logistic one = {0};
    for (int threads = 1; threads <= 4; threads++) {
        bl_pool *pool = pool_of(threads);
        bl_logistic model = {0};
        assert_ok(bl_logistic_fit(&model, &s.features, s.fitted, s.fitted_count, .01, 50, 1e-8, pool));
        bl_pool_free(pool);
        if (threads == 1) {
            one = model;
            continue;
        }
        assert_memory_equal(model.weights, one.weights, sizeof *one.weights * (size_t)(one.classes * one.width));
        assert_memory_equal(model.intercepts, one.intercepts, sizeof *one.intercepts * (size_t)one.classes);
        bl_logistic_free(&model);
    }
    bl_logistic_free(&one);
    study_close(&s);
}

static void iterations_end_it_and_the_model_says_so(void **state) {
    (void)state;
    study s = study_open();
    bl_logistic model = {0};
    assert_ok(bl_logistic_fit(&model, &s.features, s.fitted, s.fitted_count, 1e-4, 2, 1e-10, s.pool));
    assert_false(model.converged);
    assert_int_equal(model.iterations, 2);
    bl_logistic_free(&model);
    study_close(&s);
}

static void what_cannot_be_fitted_is_refused(void **state) {
    (void)state;
    bl_pool *pool = pool_of(1);
    const float values[] = {1, 2, 3, 4, 5, NAN};
    const uint8_t labels[] = {0, 1, 0, 1, 2, 1};
    const uint32_t without_class_2[] = {0, 1, 2, 3}, with_nan[] = {0, 1, 4, 5};
    const bl_features features = {.values = values, .labels = labels, .rows = 6, .width = 1, .classes = 3};
    bl_logistic model = {0};
    assert_int_not_equal(bl_logistic_fit(&model, &features, without_class_2, 4, .1, 100, 1e-6, pool), BL_OK);
    if (!strstr(bl_error(), "2")) fail_msg("the empty class 2 is not named: \"%s\"", bl_error());
    bl_logistic_free(&model);
    model = (bl_logistic){0};
    assert_int_not_equal(bl_logistic_fit(&model, &features, with_nan, 4, .1, 100, 1e-6, pool), BL_OK);
    bl_logistic_free(&model);
    bl_pool_free(pool);
}

static void ties_of_logits_go_to_the_lowest_class(void **state) {
    (void)state;
    bl_pool *pool = pool_of(1);
    const float values[] = {1, 2, 3, 4};
    const uint8_t labels[] = {0, 1, 2, 0};
    const bl_features features = {.values = values, .labels = labels, .rows = 4, .width = 1, .classes = 3};
    double weights[] = {0, 0, 0}, intercepts[] = {0, 0, 0}, accuracy;
    const bl_logistic model = {.weights = weights, .intercepts = intercepts, .classes = 3, .width = 1};
    assert_ok(bl_logistic_accuracy(&model, &features, NULL, 4, pool, &accuracy));
    assert_true(accuracy == .5);
    bl_pool_free(pool);
}

// ---- SGD on the same features ----

static void descend(const char *backend, double allowed) {
    enum { BATCH = 15 };
    bl_features features = read_features();
    const bl_classifier_options options = {
        .encoder = {.init = {BL_INIT_KAIMING_FAN_OUT, BL_INIT_UNIFORM_FAN_IN}},
        .optimizer = {.kind = BL_OPTIMIZER_SGD, .momentum = .9, .nesterov = true, .weight_decay = 1e-3, .decay_norms = true},
        .precision = BL_F32, .classes = features.classes, .head_lr_scale = 1, .frozen = true};
    const bl_schedule cosine = {.kind = BL_SCHEDULE_COSINE, .base = .1};
    int64_t steps;
    double *losses = read_golden("sgd/losses", &steps);
    bl_layout *layout;
    bl_step_graph step;
    bl_backend *opened;
    bl_store *store;
    bl_plan *plan;
    assert_ok(bl_layout_create(&layout));
    assert_ok(bl_classifier_head_build(&step, layout, &options, features.width, BATCH));
    assert_ok(bl_backend_open(&opened, backend, &(bl_backend_options){.threads = 2, .isa = ""}));
    assert_ok(bl_store_create(opened, layout, &store));
    assert_ok(bl_plan_compile(store, step.graph, &(bl_compile_options){.accumulate = 1, .observe = &step.loss, .observe_count = 1}, &plan));
    const int network = bl_layout_find_network(layout, "classifier");
    assert_true(network >= 0);
    static const char *const names[][3] = {{"fc.weight", "sgd/start/weight", "sgd/end/weight"},
                                           {"fc.bias", "sgd/start/bias", "sgd/end/bias"}};
    bl_place places[2];
    for (int i = 0; i < 2; i++) {
        double *start = read_golden(names[i][1], NULL);
        places[i] = (bl_place){network, BL_PARAMETERS, bl_segments_find(&layout->networks[network].parameters, names[i][0])};
        assert_true(places[i].segment >= 0);
        assert_ok(bl_store_write(store, places[i], start));
        free(start);
    }
    for (int64_t k = 0; k < steps; k++) {
        double rows[BATCH * 16], labels[BATCH], loss;
        assert_true(features.width <= 16);
        for (int64_t i = 0; i < BATCH; i++) {
            const int64_t row = (k * BATCH + i) % features.rows;
            labels[i] = features.labels[row];
            for (int d = 0; d < features.width; d++) rows[i * features.width + d] = features.values[row * features.width + d];
        }
        assert_ok(bl_plan_write(plan, step.images, rows));
        assert_ok(bl_plan_write(plan, step.labels, labels));
        assert_ok(bl_store_scalar(store, BL_SCALAR_LEARNING_RATE, bl_learning_rate(&cosine, k, steps, 1, 1)));
        assert_ok(bl_plan_step(plan, 0, BL_PHASE_MICRO));
        assert_ok(bl_plan_read(plan, step.loss, &loss));
        if (!(fabs(loss - losses[k]) <= allowed)) fail_msg("%s: loss %d is off by %.3g", backend, (int)k, fabs(loss - losses[k]));
        assert_ok(bl_plan_step(plan, 0, BL_PHASE_UPDATE));
    }
    for (int i = 0; i < 2; i++) {
        int64_t count;
        double *end = read_golden(names[i][2], &count), ours[64];
        assert_true(count <= 64);
        assert_ok(bl_store_read(store, places[i], ours));
        const double off = bl_test_worst(ours, end, count);
        if (!(off <= allowed)) fail_msg("%s: %s is off by %.3g at the end", backend, names[i][0], off);
        free(end);
    }
    bl_plan_free(plan);
    bl_store_free(store);
    bl_backend_close(opened);
    bl_graph_free(step.graph);
    bl_layout_free(layout);
    free(losses);
    free_features(features);
}

static void sgd_on_cached_features_is_torchs(void **state) {
    (void)state;
    descend("reference", 1e-13);
    for (const char *const *name = bl_test_backends(); *name; name++)
        if (strcmp(*name, "reference")) descend(*name, 1e-5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_intercepts_and_accuracies_are_scikit_learns),
        cmocka_unit_test(a_warm_start_along_the_grid_ends_at_the_same_weights_and_choice),
        cmocka_unit_test(chosen_rows_are_all_rows_when_none_are_named),
        cmocka_unit_test(the_thread_count_does_not_matter),
        cmocka_unit_test(iterations_end_it_and_the_model_says_so),
        cmocka_unit_test(what_cannot_be_fitted_is_refused),
        cmocka_unit_test(ties_of_logits_go_to_the_lowest_class),
        cmocka_unit_test(sgd_on_cached_features_is_torchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
