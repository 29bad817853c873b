// Segmentation on a share of labelled scenes, through bl_evaluate: what is trained on and what is looked at when, that arms differ in the
// encoder's start alone, and how whole scenes are scored.
//
// bl_scenes_read, bl_scene_view_make and bl_store_scalar stand here in front of the library's own, so that every scene that is read, every
// crop that is made and every learning rate is seen.

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/labels.h"
#include "datasets/scene_loader.h"
#include "datasets/scenes/cityscapes.h"
#include "datasets/scenes/streets.h"
#include "encoder_file.h"
#include "evaluate_rig.h"
#include "protocols/arms.h"
#include "protocols/learner.h"
#include "protocols/segmenter.h"

enum { TRAIN = 12, VAL = 5, WIDTH = 64, HEIGHT = 32, CROP = 32, STEPS = 5, BATCH = 2, MOST_RATES = 256 };

// ---- what is seen ----

static atomic_int val_reads, train_reads_after_val, crops[TRAIN]; // crops: of each scene of train
static double rates[MOST_RATES];
static int rate_count;

typedef struct made { // from which draws a crop was made
    uint64_t seed;
    uint32_t sample, epoch;
} made;
static made makings[MOST_RATES];
static atomic_int making_count;

static void forget(void) {
    val_reads = train_reads_after_val = rate_count = making_count = 0;
    for (int i = 0; i < TRAIN; i++) crops[i] = 0;
}

int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene) {
    int (*next)(const bl_scenes *, int64_t, bl_scene *);
    bl_test_next("bl_scenes_read", &next);
    if (!strncmp(bl_scenes_name(scenes, index), "val/", 4)) val_reads++;
    else if (val_reads) train_reads_after_val++;
    return next(scenes, index, scene);
}

int bl_scene_view_make(const bl_scene_recipe *recipe, uint64_t seed, uint32_t sample, uint32_t epoch, const bl_scene *scene, float *image,
                       float *labels, bl_scene_scratch *scratch) {
    int (*next)(const bl_scene_recipe *, uint64_t, uint32_t, uint32_t, const bl_scene *, float *, float *, bl_scene_scratch *);
    bl_test_next("bl_scene_view_make", &next);
    if (recipe->width == CROP && recipe->height == CROP) {
        const int at = making_count++;
        crops[sample]++;
        if (at < MOST_RATES) makings[at] = (made){seed, sample, epoch};
    }
    return next(recipe, seed, sample, epoch, scene, image, labels, scratch);
}

int bl_store_scalar(bl_store *store, bl_scalar scalar, double value) {
    int (*next)(bl_store *, bl_scalar, double);
    bl_test_next("bl_store_scalar", &next);
    if (scalar == BL_SCALAR_LEARNING_RATE && rate_count < MOST_RATES) rates[rate_count++] = value;
    return next(store, scalar, value);
}

// ---- a cell, small ----

static const bl_optimizer_options sgd = {.kind = BL_OPTIMIZER_SGD, .momentum = .9};
static const bl_recipe evaluation_view = CENTER_VIEW(CROP);

static bl_cell small_cell(bl_evaluation *rows, int count) {
    bl_cell cell = {
        .name = "main",
        .data = {.name = "streets", .seed = 2, .train = TRAIN, .test = VAL, .width = WIDTH, .height = HEIGHT, .labelled = true,
                 .scene_splits = 1u << BL_SCENE_TRAIN, .crop = CROP},
        .evaluation_view = evaluation_view,
        .model = {.encoder = RESNET18(8), .projector = SMALL_PROJECTOR, .method = SMALL_METHOD, .optimizer = sgd, .image_size = CROP},
        .train = {.epochs = 1, .batch = BATCH, .accumulate = 1},
        .evaluations = rows,
        .evaluation_count = count,
    };
    cell.model.encoder.stem = BL_STEM_IMAGENET;
    return cell;
}

static bl_evaluation small_row(const char *name, const char *arm, bl_arm_source source, double share) {
    return (bl_evaluation){
        .row = name, .id = "0123456789abcdef", .kind = BL_PROTOCOL_SEGMENTATION, .scenes = BL_SCENE_VAL,
        .fit = {.share = share, .label_seed = -1, .validation = .25, .refit = true, .learning_rates = {.05}, .rate_count = 1, .steps = STEPS,
                .batch = BATCH, .optimizer = sgd, .schedule = {.kind = BL_SCHEDULE_POLY, .power = .9, .factor = .1}, .head_lr_scale = 1,
                .arm = {.name = arm, .source = source}},
        .segmentation = {.crop = CROP, .scale = {.75, 1.5}, .flip = .5, .score_batch = 2}};
}

static bl_evaluation pretrained_row(void) {
    return small_row("segmentation/pretrained/50%/val", "pretrained", BL_ARM_PRETRAINED, 50);
}

static bl_history measure(bl_evaluation row, uint64_t weights_seed, int threads) {
    const bl_cell cell = small_cell(&row, 1);
    return measure_all(&cell, weights_seed, threads);
}

static void refuse(bl_evaluation row, const char *says) {
    const bl_cell cell = small_cell(&row, 1);
    refuse_all(&cell, says);
}

static bool same_looks(const bl_history *a, const bl_history *b) {
    return a->look_count == b->look_count && !memcmp(a->looks, b->looks, (size_t)a->look_count * sizeof *a->looks);
}

// ---- looks ----

static void a_row_ends_with_one_look_at_val_that_is_its_value(void **state) {
    (void)state;
    const bl_evaluation row = pretrained_row();
    bl_history history = measure(row, 77, 2);
    const bl_measurement *measurement = &history.measurements[0];
    assert_int_equal(history.look_count, 1);
    const bl_look *look = &history.looks[0];
    assert_true(look == bl_history_last_look(&history, row.row, row.id) && look == bl_history_best_look(&history, row.row, row.id));
    assert_true(look->step == STEPS && !look->held_out && look->learning_rate == .05);
    assert_true(measurement->value == look->miou_present && look->miou_present > 0 && look->miou_present < 100);
    assert_true(measurement->chosen == .05 && isnan(measurement->validation));
    assert_true(look->miou_cityscapes <= look->miou_present && look->accuracy > 0);
    assert_int_equal(val_reads, VAL);
    assert_int_equal(train_reads_after_val, 0);
    bl_history_free(&history);
}

static void choosing_a_learning_rate_never_looks_at_val(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    row.fit.rate_count = 2;
    row.fit.learning_rates[1] = .2;
    bl_history history = measure(row, 77, 2);
    assert_int_equal(val_reads, VAL);
    assert_int_equal(train_reads_after_val, 0);
    assert_true(history.measurements[0].validation > 0);
    bl_history_free(&history);
    // Nor where the final fit watches it: val is read for its looks alone.
    row.fit.watch = BL_WATCH_VAL;
    row.fit.watch_every = 2;
    row.fit.schedule.kind = BL_SCHEDULE_PLATEAU;
    history = measure(row, 77, 2);
    assert_int_equal(history.look_count, 3);
    assert_int_equal(val_reads, 3 * VAL);
    bl_history_free(&history);
}

static void a_fit_is_looked_at_every_so_often_and_at_its_end(void **state) {
    (void)state;
    const struct {
        bl_watch watch;
        int every, looks;
        int64_t steps[8];
        bool held_out[8];
    } cases[] = {
        {BL_WATCH_VAL, 2, 3, {2, 4, 5}, {false, false, false}},
        {BL_WATCH_VAL, 5, 1, {5}, {false}},
        {BL_WATCH_VAL, 0, 2, {3, 5}, {false, false}}, // a pass over 6 scenes
        {BL_WATCH_HELD_OUT, 2, 4, {2, 4, 5, 5}, {true, true, true, false}},
        {BL_WATCH_HELD_OUT, 0, 4, {2, 4, 5, 5}, {true, true, true, false}}, // a pass over 4 of them
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_evaluation row = pretrained_row();
        row.fit.watch = cases[i].watch;
        row.fit.watch_every = cases[i].every;
        bl_history history = measure(row, 77, 2);
        assert_int_equal(history.look_count, cases[i].looks);
        for (int k = 0; k < cases[i].looks; k++) {
            assert_int_equal(history.looks[k].step, cases[i].steps[k]);
            assert_int_equal(history.looks[k].held_out, cases[i].held_out[k]);
        }
        assert_true(history.measurements[0].value == bl_history_last_look(&history, row.row, row.id)->miou_present);
        bl_history_free(&history);
    }
}

static void watching_changes_nothing_that_is_learned(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    bl_history unwatched = measure(row, 77, 2);
    row.fit.watch = BL_WATCH_VAL;
    row.fit.watch_every = 1;
    bl_history watched = measure(row, 77, 2);
    assert_int_equal(watched.look_count, STEPS);
    assert_memory_equal(&watched.looks[STEPS - 1], &unwatched.looks[0], sizeof *unwatched.looks);
    bl_history_free(&unwatched);
    bl_history_free(&watched);
}

static void a_plateau_lowers_the_rate_by_what_it_saw(void **state) {
    (void)state;
    enum { LONG = 12 };
    bl_evaluation row = pretrained_row();
    row.fit.schedule.kind = BL_SCHEDULE_PLATEAU;
    row.fit.steps = LONG;
    row.fit.schedule.factor = .5;
    row.fit.watch = BL_WATCH_HELD_OUT;
    row.fit.watch_every = 1;
    bl_history history = measure(row, 77, 2);
    const bl_schedule schedule = {.kind = BL_SCHEDULE_PLATEAU, .base = .05, .factor = .5};
    bl_plateau plateau = bl_plateau_start(true);
    assert_int_equal(rate_count, LONG);
    for (int step = 0; step < LONG; step++) {
        assert_true(rates[step] == bl_learning_rate(&schedule, step, LONG, 2, plateau.scale));
        assert_true(history.looks[step].held_out);
        bl_plateau_observe(&plateau, &schedule, true, history.looks[step].miou_present);
    }
    assert_true(rates[LONG - 1] < rates[0]);
    bl_history_free(&history);
}

static void a_poly_schedule_falls_by_its_power_to_its_least_rate(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    row.fit.schedule.power = 2;
    row.fit.schedule.least = .01;
    bl_history history = measure(row, 77, 1);
    assert_int_equal(rate_count, STEPS);
    for (int k = 0; k < STEPS; k++) assert_true(fabs(rates[k] - (.01 + .04 * (1 - k / 5.) * (1 - k / 5.))) < 1e-15);
    bl_history_free(&history);
}

// ---- which scenes ----

static void held_out_scenes_are_never_trained_on_where_they_are_watched(void **state) {
    (void)state;
    const struct {
        bl_watch watch;
        bool refit, held_out_is_trained;
        int rates;
    } cases[] = {{BL_WATCH_HELD_OUT, true, false, 1}, {BL_WATCH_HELD_OUT, true, false, 2}, {BL_WATCH_NONE, false, false, 2},
                 {BL_WATCH_NONE, true, true, 2},      {BL_WATCH_VAL, true, true, 1}};
    bl_labelled labels;
    assert_ok(bl_labels_choose_scenes(&labels, TRAIN, 50, false, .25, SEED));
    assert_true(labels.fitted_count == 4 && labels.held_out_count == 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int sum = 0;
        bl_evaluation row = pretrained_row();
        row.fit.watch = cases[i].watch;
        row.fit.refit = cases[i].refit;
        row.fit.rate_count = cases[i].rates;
        row.fit.learning_rates[1] = .2;
        bl_history history = measure(row, 77, 2);
        for (int64_t k = 0; k < 4; k++) sum += crops[labels.fitted[k]];
        for (int64_t k = 0; k < 2; k++) {
            sum += crops[labels.held_out[k]];
            assert_int_equal(crops[labels.held_out[k]] > 0, cases[i].held_out_is_trained);
        }
        assert_int_equal(sum, (cases[i].rates > 1 ? 3 : 1) * STEPS * BATCH); // nothing else is
        bl_history_free(&history);
    }
    bl_labelled_free(&labels);
}

// Two scenes in batches of seven: twice they come thrice, once four times.
static void a_batch_larger_than_the_labelled_part_draws_each_crop_anew(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    row.fit.share = 17; // 2.04 of 12
    row.fit.batch = 7;
    bl_history history = measure(row, 77, 2);
    int first = 0, scenes = 0;
    assert_int_equal(making_count, STEPS * 7);
    for (int i = 0; i < making_count; i++) {
        first += makings[i].seed == SEED;
        for (int j = 0; j < i; j++) assert_memory_not_equal(&makings[i], &makings[j], sizeof *makings);
    }
    for (int i = 0; i < TRAIN; i++) scenes += crops[i] > 0;
    assert_int_equal(scenes, 2);
    assert_int_equal(first, STEPS * 2); // what comes first in an update draws as it does where nothing comes again
    bl_history_free(&history);
}

static void listed_shares_are_the_first_scenes(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    row.fit.listed = true;
    row.fit.share = 30; // 3.6 of 12
    row.fit.steps = 6;
    bl_history history = measure(row, 77, 2);
    for (int i = 0; i < TRAIN; i++) assert_int_equal(crops[i] > 0, i < 3);
    bl_history_free(&history);
}

static void what_no_share_can_give_is_refused_before_training(void **state) {
    (void)state;
    const struct {
        double share, validation;
        bool listed;
        int rates;
        bl_watch watch;
        const char *says;
    } cases[] = {
        {5, .25, true, 1, BL_WATCH_NONE, "5 % of the first 12 scenes is less than one; write a share of at least 8.4"},
        {5, .25, false, 2, BL_WATCH_NONE, "5 % is 1 of the 12 scenes; with 1 held out none is left to fit"},
        {50, 0, false, 2, BL_WATCH_NONE, "nothing to choose on: write `validation: 0.1` in the row, or one learning rate"},
        {50, 0, false, 1, BL_WATCH_HELD_OUT, "nothing to watch: write `validation: 0.1` in the row"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_evaluation row = pretrained_row();
        row.fit.share = cases[i].share;
        row.fit.validation = cases[i].validation;
        row.fit.listed = cases[i].listed;
        row.fit.rate_count = cases[i].rates;
        row.fit.learning_rates[1] = .2;
        row.fit.watch = cases[i].watch;
        const bl_cell cell = small_cell(&row, 1);
        measuring r;
        open_rig(&r, &cell, 1, 1);
        assert_int_not_equal(bl_shares_fit(&r.evaluator), BL_OK);
        bl_test_holds(bl_error(), cases[i].says);
        close_rig(&r);
        refuse(row, cases[i].says);
    }
    bl_evaluation row = pretrained_row();
    row.fit.share = 5; // one scene, and nothing to choose
    const bl_cell cell = small_cell(&row, 1);
    measuring r;
    open_rig(&r, &cell, 1, 1);
    assert_ok(bl_shares_fit(&r.evaluator));
    close_rig(&r);
}

// ---- arms ----

static void arms_start_from_one_head_and_from_their_own_encoder(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    const bl_cell cell = small_cell(&row, 1);
    const bl_segmentation_options options = bl_segmentation_of(&cell, &row.fit);
    const bl_arm arms[2] = {{.source = BL_ARM_RANDOM}, {.source = BL_ARM_PRETRAINED}};
    double *encoder[2], *heads[2];
    size_t encoder_count, head_count;
    measuring r;
    open_rig(&r, &cell, 77, 1);
    for (int a = 0; a < 2; a++) {
        bl_learner learner;
        assert_ok(bl_learner_create_segmentation(&learner, &r.evaluator, &row, &options, false));
        assert_ok(bl_learner_take_arm(&learner, &arms[a], (char[65]){0}));
        read_network(learner.store, "online", &encoder[a], &encoder_count);
        read_network(learner.store, "fcn", &heads[a], &head_count);
        bl_learner_free(&learner);
    }
    assert_memory_not_equal(encoder[0], encoder[1], encoder_count * sizeof **encoder);
    assert_memory_equal(heads[0], heads[1], head_count * sizeof **heads);
    for (int a = 0; a < 2; a++) {
        free(encoder[a]);
        free(heads[a]);
    }
    close_rig(&r);
}

static void arms_that_start_alike_measure_alike(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    bl_history pretrained = measure(row, SEED, 2); // at the initial weights of the run's own seed
    row.fit.arm.source = BL_ARM_RANDOM;
    bl_history random = measure(row, 77, 2); // whatever the model holds now
    row.fit.arm.source = BL_ARM_PRETRAINED;
    bl_history other = measure(row, 77, 2);
    assert_true(same_looks(&pretrained, &random) && !same_looks(&pretrained, &other));
    bl_history_free(&pretrained);
    bl_history_free(&random);
    bl_history_free(&other);
}

// Whole scenes have no size of their own: an encoder that saw images of another one, cropped or not, will do.
static void an_arm_from_a_file_wants_its_normalisation_and_takes_any_size(void **state) {
    (void)state;
    char *folder = bl_test_folder(), path[256];
    snprintf(path, sizeof path, "%s/encoder.safetensors", folder);
    bl_evaluation row = pretrained_row();
    const bl_cell cell = small_cell(&row, 1);
    bl_history random = measure(row, SEED, 2);
    row.fit.arm = (bl_arm){.name = "file", .source = BL_ARM_WEIGHTS, .path = path};
    bl_preprocessing preprocessing = bl_preprocessing_of(&evaluation_view, 224);
    preprocessing.resize = 256;
    write_encoder(&cell.model.encoder, SEED, path, preprocessing);
    bl_history file = measure(row, 77, 2);
    assert_true(same_looks(&random, &file));
    bl_history_free(&file);
    preprocessing.mean[1] = .4;
    write_encoder(&cell.model.encoder, SEED, path, preprocessing);
    refuse(row, path);
    row.fit.arm.keep_preprocessing = true;
    file = measure(row, 77, 2);
    assert_true(same_looks(&random, &file));
    bl_history_free(&file);
    bl_history_free(&random);
    bl_test_folder_remove(folder);
}

static void a_frozen_encoder_keeps_its_bytes(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        static const char *const networks[2] = {"online", "fcn"};
        const uint32_t samples[] = {0, 1, 2, 3};
        const bl_trial trial = {.candidate = .05, .samples = samples, .count = 4};
        bl_evaluation row = pretrained_row();
        row.fit.frozen = frozen;
        const bl_cell cell = small_cell(&row, 1);
        const bl_segmentation_options options = bl_segmentation_of(&cell, &row.fit);
        const bl_scene_recipe crop = bl_segmentation_crop(&cell, &row);
        double *before[2], *after[2];
        size_t counts[2];
        bl_learner learner;
        bl_loader *loader;
        bl_fit_place place = {0};
        bool is_finite;
        measuring r;
        open_rig(&r, &cell, 77, 1);
        bl_fit_place_begin(&place, 0);
        assert_ok(bl_learner_create_segmentation(&learner, &r.evaluator, &row, &options, false));
        assert_ok(bl_learner_take_arm(&learner, &row.fit.arm, (char[65]){0}));
        assert_ok(bl_scene_loader_create(&loader, bl_dataset_labelled(r.dataset), &crop, SEED, 1, BL_STAGING_SLOTS));
        for (int n = 0; n < 2; n++) read_network(learner.store, networks[n], &before[n], &counts[n]);
        assert_ok(bl_learner_fit(&learner, loader, &trial, &place, NULL, &is_finite));
        assert_true(is_finite);
        for (int n = 0; n < 2; n++) read_network(learner.store, networks[n], &after[n], &counts[n]);
        assert_int_equal(!memcmp(before[0], after[0], counts[0] * sizeof **after), frozen);
        assert_memory_not_equal(before[1], after[1], counts[1] * sizeof **after);
        for (int n = 0; n < 2; n++) {
            free(before[n]);
            free(after[n]);
        }
        bl_loader_free(loader);
        bl_learner_free(&learner);
        close_rig(&r);
    }
}

static void a_fit_that_is_not_finite_names_its_row(void **state) {
    (void)state;
    bl_evaluation row = pretrained_row();
    row.fit.learning_rates[0] = 1e300;
    refuse(row, "segmentation/pretrained/50%/val: the last fit, at 1e+300, diverged; write smaller learning rates");
}

// ---- one row is one function ----

static void a_row_is_the_same_alone_and_among_others_whatever_the_threads(void **state) {
    (void)state;
    bl_evaluation rows[4] = {small_row("segmentation/pretrained/25%/val", "pretrained", BL_ARM_PRETRAINED, 25),
                             small_row("segmentation/pretrained/val", "pretrained", BL_ARM_PRETRAINED, 100),
                             small_row("segmentation/random/25%/val", "random", BL_ARM_RANDOM, 25),
                             small_row("segmentation/random/val", "random", BL_ARM_RANDOM, 100)};
    for (int i = 0; i < 4; i++) rows[i].segmentation.pictures = 2;
    const bl_cell cell = small_cell(rows, 4);
    bl_history all = measure_all(&cell, 77, 3);
    bl_history alone = measure(rows[3], 77, 1);
    assert_memory_equal(&all.looks[3], &alone.looks[0], sizeof *all.looks);
    assert_true(all.measurements[3].value == alone.measurements[0].value);
    // Pictures are of each arm's largest share, and evenly spread over val.
    assert_int_equal(all.picture_count, 4);
    static const char *const scenes[2] = {"val/streets/streets_000000_000001", "val/streets/streets_000000_000003"};
    for (int i = 0; i < 4; i++) {
        const bl_scene_picture *picture = &all.pictures[i];
        assert_string_equal(picture->row, rows[i < 2 ? 1 : 3].row);
        assert_string_equal(picture->scene, scenes[i % 2]);
        assert_true(picture->width == WIDTH && picture->height == HEIGHT);
    }
    assert_memory_equal(all.pictures[2].prediction, alone.pictures[0].prediction, WIDTH * HEIGHT);
    bl_history_free(&all);
    bl_history_free(&alone);
}

// ---- whole scenes ----

typedef struct scoring {
    measuring r;
    bl_cell cell;
    bl_evaluation row;
    bl_learner learner;
} scoring;

static void scoring_open(scoring *s) {
    s->row = pretrained_row();
    s->cell = small_cell(&s->row, 1);
    const bl_segmentation_options options = bl_segmentation_of(&s->cell, &s->row.fit);
    open_rig(&s->r, &s->cell, 77, 1);
    assert_ok(bl_learner_create_segmentation(&s->learner, &s->r.evaluator, &s->row, &options, false));
}

static void scoring_close(scoring *s) {
    bl_learner_free(&s->learner);
    close_rig(&s->r);
}

static bl_segmentation_scores scored(scoring *s, const bl_scenes *scenes, const uint32_t *samples, int64_t count, int batch,
                                     const bl_onlooker *onlooker) {
    bl_segmentation_scores scores;
    bl_scorer *scorer;
    s->row.segmentation.score_batch = batch;
    const bl_scorer_options options = {&s->cell, &s->row, s->learner.layout, s->learner.store, 2};
    assert_ok(bl_scorer_create(&scorer, &options));
    assert_ok(bl_scorer_score(scorer, scenes, samples, count, onlooker, &scores));
    bl_scorer_free(scorer);
    return scores;
}

static void what_fills_a_short_batch_is_not_counted(void **state) {
    (void)state;
    scoring s;
    scoring_open(&s);
    const bl_scenes *val = bl_dataset_scored(s.r.dataset);
    const bl_segmentation_scores whole = scored(&s, val, NULL, 0, VAL, NULL), padded = scored(&s, val, NULL, 0, 4, NULL),
                                 single = scored(&s, val, NULL, 0, 1, NULL);
    assert_memory_equal(whole.iou, padded.iou, sizeof whole.iou);
    assert_memory_equal(whole.iou, single.iou, sizeof whole.iou);
    assert_true(whole.accuracy == padded.accuracy && whole.accuracy == single.accuracy && whole.batch_accuracy == whole.accuracy);
    assert_true(fabs(single.batch_accuracy - padded.batch_accuracy) > 1e-9); // scenes have different shares of ignored pixels
    scoring_close(&s);
}

typedef struct album { // predictions as they were shown
    uint8_t *of[8];
    int64_t scenes[8];
    size_t areas[8];
    int count;
} album;

static int keep(void *context, int64_t scene, int width, int height, const uint8_t *predicted) {
    album *a = context;
    const size_t area = (size_t)width * (size_t)height;
    a->of[a->count] = malloc(area);
    memcpy(a->of[a->count], predicted, area);
    a->areas[a->count] = area;
    a->scenes[a->count++] = scene;
    return BL_OK;
}

static void scenes_of_several_sizes_are_scored_like_each_by_itself(void **state) {
    (void)state;
    enum { SCENES = 7 };
    static const struct {
        int width, height;
    } sizes[SCENES] = {{64, 32}, {64, 32}, {96, 64}, {64, 64}, {64, 64}, {64, 64}, {64, 32}}; // more than plans are kept
    char *root = bl_test_folder();
    bl_scene scene = {0};
    bl_scenes *scenes;
    scoring s;
    scoring_open(&s);
    for (int i = 0; i < SCENES; i++) {
        assert_ok(bl_streets_draw(3, BL_SCENE_VAL, (uint32_t)i, sizes[i].width, sizes[i].height, &scene));
        assert_ok(bl_scene_save(&scene, root, BL_SCENE_VAL, "ulm", i));
    }
    bl_scene_free(&scene);
    assert_ok(bl_scenes_open(&scenes, &(bl_scenes_options){.format = &bl_cityscapes, .root = root, .splits = 1u << BL_SCENE_VAL, .labelled = true}));
    album together = {0}, apart = {0};
    const bl_segmentation_scores all = scored(&s, scenes, NULL, 0, 2, &(bl_onlooker){&together, keep});
    assert_int_equal(together.count, SCENES);
    for (uint32_t i = 0; i < SCENES; i++) {
        scored(&s, scenes, &i, 1, 1, &(bl_onlooker){&apart, keep});
        assert_int_equal(together.scenes[i], i);
        assert_int_equal(together.areas[i], sizes[i].width * sizes[i].height);
        assert_memory_equal(together.of[i], apart.of[i], together.areas[i]);
    }
    // The confusion is that of all pixels.
    bl_confusion confusion = {.classes = BL_SCENE_CLASSES};
    bl_segmentation_scores expected;
    for (int i = 0; i < SCENES; i++) {
        float truth[96 * 64];
        assert_ok(bl_scenes_read(scenes, i, &scene));
        for (size_t k = 0; k < together.areas[i]; k++) truth[k] = scene.labels[k];
        assert_ok(bl_confusion_add(&confusion, together.of[i], truth, 1, (int64_t)together.areas[i]));
    }
    bl_confusion_scores(&confusion, &expected);
    assert_memory_equal(all.iou, expected.iou, sizeof all.iou);
    assert_true(all.accuracy == expected.accuracy && all.miou_present == expected.miou_present);
    bl_scene_free(&scene);
    for (int i = 0; i < SCENES; i++) {
        free(together.of[i]);
        free(apart.of[i]);
    }
    bl_scenes_close(scenes);
    scoring_close(&s);
    bl_test_folder_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_ends_with_one_look_at_val_that_is_its_value),
        cmocka_unit_test(choosing_a_learning_rate_never_looks_at_val),
        cmocka_unit_test(a_fit_is_looked_at_every_so_often_and_at_its_end),
        cmocka_unit_test(watching_changes_nothing_that_is_learned),
        cmocka_unit_test(a_plateau_lowers_the_rate_by_what_it_saw),
        cmocka_unit_test(a_poly_schedule_falls_by_its_power_to_its_least_rate),
        cmocka_unit_test(held_out_scenes_are_never_trained_on_where_they_are_watched),
        cmocka_unit_test(a_batch_larger_than_the_labelled_part_draws_each_crop_anew),
        cmocka_unit_test(listed_shares_are_the_first_scenes),
        cmocka_unit_test(what_no_share_can_give_is_refused_before_training),
        cmocka_unit_test(arms_start_from_one_head_and_from_their_own_encoder),
        cmocka_unit_test(arms_that_start_alike_measure_alike),
        cmocka_unit_test(an_arm_from_a_file_wants_its_normalisation_and_takes_any_size),
        cmocka_unit_test(a_frozen_encoder_keeps_its_bytes),
        cmocka_unit_test(a_fit_that_is_not_finite_names_its_row),
        cmocka_unit_test(a_row_is_the_same_alone_and_among_others_whatever_the_threads),
        cmocka_unit_test(what_fills_a_short_batch_is_not_counted),
        cmocka_unit_test(scenes_of_several_sizes_are_scored_like_each_by_itself),
    };
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
