#include "protocols/learner.h"

#include <inttypes.h>
#include <math.h>

#include "base/digest.h"          // bl_digest_hex
#include "base/memory.h"
#include "base/stop.h"            // bl_stop_here
#include "datasets/view_loader.h" // bl_view_loader_create
#include "experiment/cell.h"      // bl_fit_steps
#include "protocols/pass.h"

static const bl_block_kind kept_blocks[BL_START_BLOCKS] = {BL_PARAMETERS, BL_BUFFERS};

// ---- making one ----

// fit.view, then what the evaluation does: its normalisation, and its crop where fit.view has none.
static int make_view(bl_recipe *view, const bl_evaluator *evaluator, const bl_fit_options *fit, int image_size) {
    const bl_recipe *evaluation = &evaluator->cell->evaluation_view;
    bool is_sized = false;
    *view = fit->view;
    for (int i = 0; i < view->count; i++)
        is_sized = is_sized || view->items[i].kind == BL_RANDOM_RESIZED_CROP || view->items[i].kind == BL_CENTER_CROP;
    for (int i = 0; i < evaluation->count; i++) {
        if (is_sized && evaluation->items[i].kind == BL_CENTER_CROP) continue;
        if (view->count == BL_MAX_TRANSFORMS) return bl_fail("a view of more than %d transforms; write fewer", BL_MAX_TRANSFORMS);
        view->items[view->count++] = evaluation->items[i];
    }
    const int size = bl_recipe_size(view, bl_dataset_size(evaluator->dataset));
    if (size != image_size)
        return bl_fail("views of %d pixels a side for an encoder that is evaluated at %d; write random_resized_crop: {size: %d}", size,
                       image_size, image_size);
    return BL_OK;
}

static int compile(bl_learner *learner) {
    bl_backend *backend = learner->evaluator->model->backend;
    bl_tensor *watch[BL_WATCHED];
    const bl_compile_options training = {.accumulate = 1,
                                         .watch = watch,
                                         .watch_count = bl_loop_watch(&learner->step, watch),
                                         .tf32 = learner->tf32,
                                         .batch = learner->fit->batch,
                                         .batch_key = learner->of_scenes         ? "segmentation.batch"
                                                      : learner->inference.graph ? "finetune.batch"
                                                                                 : "linear.batch"};
    const bl_compile_options inferring = {.accumulate = 1, .observe = &learner->inference.correct, .observe_count = 1};
    // A target network does not exist here, so nothing is copied. The head starts as (seed, name) says, whatever the encoder is.
    if (bl_store_create(backend, learner->layout, &learner->store) ||
        bl_store_initialize(learner->store, learner->evaluator->seed, true) ||
        bl_plan_compile(learner->store, learner->step.graph, &training, &learner->training))
        return BL_FAILED;
    if (!learner->inference.graph) return BL_OK;
    return bl_plan_compile(learner->store, learner->inference.graph, &inferring, &learner->inferring);
}

bl_classifier_options bl_classifier_of(const bl_cell *cell, const bl_evaluation *row) {
    const bool is_linear = row->kind == BL_PROTOCOL_LINEAR;
    return (bl_classifier_options){.encoder = cell->model.encoder,
                                   .optimizer = row->fit.optimizer,
                                   .image_size = cell->model.image_size,
                                   .precision = is_linear ? BL_F32 : cell->model.precision, // as cached features are
                                   .classes = bl_cell_classes(cell),
                                   .hidden = is_linear ? 0 : row->finetune.hidden,
                                   .head_lr_scale = is_linear ? 1 : row->fit.head_lr_scale,
                                   .frozen = is_linear || row->fit.frozen};
}

int bl_learner_create(bl_learner *learner, const bl_evaluator *evaluator, const bl_fit_options *fit, const bl_classifier_options *options,
                      bool tf32) {
    *learner = (bl_learner){.evaluator = evaluator, .fit = fit, .tf32 = tf32};
    if (make_view(&learner->view, evaluator, fit, options->image_size) || bl_layout_create(&learner->layout) ||
        bl_classifier_build(&learner->step, learner->layout, options, fit->batch) ||
        bl_classifier_inference_build(&learner->inference, learner->layout, options, BL_FEATURE_ROWS) || compile(learner)) {
        bl_learner_free(learner);
        return BL_FAILED;
    }
    return BL_OK;
}

int bl_learner_create_segmentation(bl_learner *learner, const bl_evaluator *evaluator, const bl_evaluation *row,
                                   const bl_segmentation_options *options, bool tf32) {
    const int crop = row->segmentation.crop;
    *learner = (bl_learner){.evaluator = evaluator, .fit = &row->fit, .tf32 = tf32, .of_scenes = true};
    if (bl_layout_create(&learner->layout) ||
        bl_segmentation_build(&learner->step, learner->layout, options, row->fit.batch, crop, crop) || compile(learner)) {
        bl_learner_free(learner);
        return BL_FAILED;
    }
    return BL_OK;
}

int bl_learner_create_head(bl_learner *learner, const bl_evaluator *evaluator, const bl_fit_options *fit,
                           const bl_classifier_options *options, int width) {
    *learner = (bl_learner){.evaluator = evaluator, .fit = fit};
    if (bl_layout_create(&learner->layout) ||
        bl_classifier_head_build(&learner->step, learner->layout, options, width, fit->batch) || compile(learner) ||
        bl_learner_keep_start(learner)) {
        bl_learner_free(learner);
        return BL_FAILED;
    }
    return BL_OK;
}

void bl_learner_free(bl_learner *learner) {
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int b = 0; b < BL_START_BLOCKS; b++) bl_free(learner->start[n][b]);
    bl_plan_free(learner->training);
    bl_plan_free(learner->inferring);
    bl_store_free(learner->store);
    bl_graph_free(learner->step.graph);
    bl_graph_free(learner->inference.graph);
    bl_layout_free(learner->layout);
    *learner = (bl_learner){0};
}

// ---- the start ----

// By name: the model's network may hold more (a projector).
static int take_block(bl_learner *learner, int to, const bl_store *model, int from, bl_block_kind block) {
    const bl_segments *ours = bl_network_segments(&learner->layout->networks[to], block);
    const bl_segments *theirs = bl_network_segments(&model->layout->networks[from], block);
    for (int i = 0; i < ours->count; i++) {
        const int j = bl_segments_find(theirs, ours->items[i].name);
        if (j < 0) return bl_fail("the model's encoder has no '%s'", ours->items[i].name);
        double *values = bl_alloc((size_t)bl_shape_count(&ours->items[i].shape) * sizeof *values);
        const int status = !values || bl_store_read(model, (bl_place){from, block, j}, values) ||
                                           bl_store_write(learner->store, (bl_place){to, block, i}, values)
                                   ? BL_FAILED
                                   : BL_OK;
        bl_free(values);
        if (status) return BL_FAILED;
    }
    return BL_OK;
}

int bl_learner_take_encoder(bl_learner *learner) {
    const bl_store *model = learner->evaluator->model->store;
    const int to = bl_layout_find_network(learner->layout, "online"), from = bl_layout_find_network(model->layout, "online");
    if (take_block(learner, to, model, from, BL_PARAMETERS)) return BL_FAILED;
    return take_block(learner, to, model, from, BL_BUFFERS);
}

static size_t block_floats(const bl_learner *learner, int network, bl_block_kind block) {
    return bl_network_segments(&learner->layout->networks[network], block)->floats;
}

// Of the blocks' digests.
static const char *start_digest(void *context) {
    bl_learner *learner = context;
    bl_text blocks = {0};
    if (*learner->start_digest) return learner->start_digest;
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int b = 0; b < BL_START_BLOCKS; b++) {
            char digest[65];
            if (!learner->start[n][b]) continue;
            bl_digest_hex(learner->start[n][b], block_floats(learner, n, kept_blocks[b]) * sizeof *learner->start[n][b], digest);
            bl_text_add(&blocks, "%s\n", digest);
        }
    bl_digest_hex(blocks.chars, blocks.size, learner->start_digest);
    bl_text_free(&blocks);
    return learner->start_digest;
}

int bl_learner_keep_start(bl_learner *learner) {
    for (int n = 0; n < learner->layout->network_count; n++)
        for (int b = 0; b < BL_START_BLOCKS; b++) {
            const size_t floats = block_floats(learner, n, kept_blocks[b]);
            double **kept = &learner->start[n][b];
            if (!floats) continue;
            if (!*kept && !(*kept = bl_alloc(floats * sizeof **kept))) return BL_FAILED;
            if (bl_store_read(learner->store, (bl_place){n, kept_blocks[b], BL_WHOLE_BLOCK}, *kept)) return BL_FAILED;
        }
    *learner->start_digest = 0;
    return BL_OK;
}

bl_fitted bl_learner_fitted(bl_learner *learner) {
    return (bl_fitted){learner->store, learner->fit->optimizer.kind, learner->step.graph->digest, start_digest, learner};
}

static int clear(bl_learner *learner, int network) {
    static const bl_block_kind trained[] = {BL_GRADIENTS, BL_MOMENT1, BL_MOMENT2};
    if (!learner->layout->networks[network].trainable) return BL_OK;
    double *zeros = bl_alloc(block_floats(learner, network, BL_PARAMETERS) * sizeof *zeros);
    int status = zeros ? BL_OK : BL_FAILED;
    for (int b = 0; b < 3 && status == BL_OK; b++)
        status = bl_store_write(learner->store, (bl_place){network, trained[b], BL_WHOLE_BLOCK}, zeros);
    bl_free(zeros);
    return status;
}

static int restart(bl_learner *learner) {
    for (int n = 0; n < learner->layout->network_count; n++) {
        for (int b = 0; b < BL_START_BLOCKS; b++)
            if (learner->start[n][b] &&
                bl_store_write(learner->store, (bl_place){n, kept_blocks[b], BL_WHOLE_BLOCK}, learner->start[n][b]))
                return BL_FAILED;
        if (clear(learner, n)) return BL_FAILED;
    }
    return bl_store_scalar(learner->store, BL_SCALAR_FINITE, 1);
}

// ---- fitting ----

typedef struct attention { // when a fit is looked at and kept
    const bl_watcher *watcher;
    int64_t every, steps;
    bool is_boundary; // after the step in hand something is kept or ends: an asynchronous backend is not given the next one
} attention;

static bool is_looked_at(const attention *a, int64_t done) {
    return a->watcher && (done % a->every == 0 || done == a->steps);
}

static bool looks_after(void *context, int64_t step) {
    const attention *a = context;
    return a->is_boundary || is_looked_at(a, step + 1);
}

static int look(const attention *a, bl_loop *loop, const bl_schedule *schedule, bl_fit_place *place) {
    double value;
    if (a->watcher->look(a->watcher->context, place->step, &value)) return BL_FAILED;
    place->owes_look = false;
    if (schedule->kind != BL_SCHEDULE_PLATEAU) return BL_OK;
    bl_plateau_observe(&place->plateau, schedule, true, value);
    bl_loop_scale(loop, place->plateau.scale);
    return BL_OK;
}

// One update. *is_finite false: none was made.
static int update(bl_learner *learner, attention *a, bl_loop *loop, bl_fit_place *place, bool *is_finite) {
    const bl_evaluator *e = learner->evaluator;
    const bl_fitted fitted = bl_learner_fitted(learner);
    bl_step_row row;
    int bad_slot;
    const bool is_due = e->fits && place->step + 1 < a->steps && bl_keeper_is_due(e->fits->keeper, place->step + 1);
    a->is_boundary = is_due || bl_stop_asked();
    if (bl_loop_step(loop, &row, &bad_slot)) {
        *is_finite = false;
        return bad_slot < 0 ? BL_FAILED : BL_OK;
    }
    place->step++;
    place->owes_look = is_looked_at(a, place->step);
    if (is_due && bl_fit_keep(e->fits, &fitted, place)) return BL_FAILED;
    if (e->fitting) e->fitting(e->context, place->step, a->steps);
    return bl_loop_is_ahead(loop) ? BL_OK : bl_stop_here();
}

int bl_learner_fit(bl_learner *learner, bl_loader *loader, const bl_trial *trial, bl_fit_place *place, const bl_watcher *watcher,
                   bool *is_finite) {
    const bl_fit_options *fit = learner->fit;
    const int64_t steps_per_epoch = bl_fit_steps_per_pass(fit, trial->count), steps = bl_fit_steps(fit, trial->count);
    bl_schedule schedule = fit->schedule;
    schedule.base = trial->candidate;
    schedule.warmup = fit->warmup_steps / (double)steps_per_epoch;
    attention paid = {watcher, watcher && watcher->every ? watcher->every : steps_per_epoch, steps, false};
    const bl_loop_options options = {
        .graph = &learner->step, .plan = learner->training, .store = learner->store, .loader = loader, .samples = trial->samples,
        .sample_count = trial->count, .seed = learner->evaluator->seed, .shuffle = true, .batch = fit->batch, .accumulate = 1,
        .steps = steps, .schedule = schedule, .looks_after = looks_after, .looks_context = &paid};
    bl_loop *loop = NULL;
    int status = BL_FAILED;
    *is_finite = true;
    learner->steps = steps;
    if (place->step > steps) {
        bl_fail("%s: damaged: its fit stands at step %" PRId64 " of %" PRId64 "; move it away to begin that row again",
                learner->evaluator->fits->path, place->step, steps);
        goto done;
    }
    if ((place->step == 0 && restart(learner)) || bl_loop_create(&loop, &options, place->step)) goto done;
    bl_loop_scale(loop, place->plateau.scale);
    while (*is_finite && (place->step < steps || place->owes_look))
        if (place->owes_look ? look(&paid, loop, &schedule, place) : update(learner, &paid, loop, place, is_finite)) goto done;
    status = BL_OK;
done:
    bl_loop_free(loop);
    return status;
}

static int fit_views(void *context, const bl_trial *trial, bl_fit_place *place, bool *is_finite) {
    bl_learner *learner = context;
    const bl_evaluator *e = learner->evaluator;
    bl_loader *loader;
    if (bl_view_loader_create(&loader, e->dataset, BL_TRAIN, &learner->view, 1, e->seed, e->loader_threads, BL_STAGING_SLOTS))
        return BL_FAILED;
    const int status = bl_learner_fit(learner, loader, trial, place, NULL, is_finite);
    bl_loader_free(loader);
    return status;
}

// ---- asking ----

typedef struct tally { // of images that the plan puts into their class
    bl_plan *plan;
    const bl_tensor *correct; // share of a step's rows
    int64_t count;
} tally;

static int count_correct(void *context, int64_t first, int rows, int slot) {
    tally *t = context;
    double share;
    (void)first, (void)slot;
    if (bl_plan_read(t->plan, t->correct, &share)) return BL_FAILED;
    t->count += llround(share * rows);
    return BL_OK;
}

int bl_inference_accuracy(const bl_evaluator *evaluator, bl_plan *plan, const bl_step_graph *inference, bl_split split,
                          const uint32_t *samples, int64_t count, double *accuracy) {
    tally correct = {plan, inference->correct, 0};
    bl_pass pass = {.plan = plan, .images = inference->images, .labels = inference->labels, .samples = samples,
                    .count = samples ? count : bl_dataset_count(evaluator->dataset, split), .batch = BL_FEATURE_ROWS, .no_label = -1,
                    .see = count_correct, .context = &correct};
    if (!pass.count) return bl_fail("there is no %s image to evaluate on", bl_split_name(split));
    if (bl_view_loader_create(&pass.loader, evaluator->dataset, split, &evaluator->cell->evaluation_view, 1, evaluator->seed,
                              evaluator->loader_threads, BL_STAGING_SLOTS))
        return BL_FAILED;
    const int status = bl_pass_run(&pass);
    bl_loader_free(pass.loader);
    if (status == BL_OK) *accuracy = (double)correct.count / (double)pass.count;
    return status;
}

static int accuracy_of(void *context, bl_split split, const uint32_t *samples, int64_t count, double *accuracy) {
    const bl_learner *learner = context;
    return bl_inference_accuracy(learner->evaluator, learner->inferring, &learner->inference, split, samples, count, accuracy);
}

int bl_learner_measure(bl_learner *learner, bl_feature_cache *cache, const bl_evaluation *row, bl_measurement *measurement) {
    const bl_fitted kept = bl_learner_fitted(learner);
    const bl_fitter fitter = {learner, &kept, fit_views, accuracy_of};
    return bl_choose_and_measure(&fitter, learner->fit->learning_rates, learner->fit->rate_count, learner->evaluator, cache, row,
                                 measurement);
}

int bl_read_head(const bl_store *store, const char *network, bl_logistic *head) {
    const int index = bl_layout_find_network(store->layout, network);
    if (index < 0) return bl_fail("this run trains no network '%s'", network);
    const bl_segments *segments = &store->layout->networks[index].parameters;
    const int weight = bl_segments_find(segments, "fc.weight"), bias = bl_segments_find(segments, "fc.bias");
    if (weight < 0 || bias < 0) return bl_fail("network '%s' has no linear head", network);
    const bl_shape *shape = &segments->items[weight].shape;
    *head = (bl_logistic){.classes = (int)shape->dims[0], .width = (int)shape->dims[1]};
    head->weights = bl_alloc((size_t)bl_shape_count(shape) * sizeof *head->weights);
    head->intercepts = bl_alloc((size_t)head->classes * sizeof *head->intercepts);
    if (!head->weights || !head->intercepts || bl_store_read(store, (bl_place){index, BL_PARAMETERS, weight}, head->weights) ||
        bl_store_read(store, (bl_place){index, BL_PARAMETERS, bias}, head->intercepts)) {
        bl_logistic_free(head);
        return BL_FAILED;
    }
    return BL_OK;
}
