#include "protocols/segmenter.h"

#include <inttypes.h>

#include "base/memory.h"
#include "datasets/scene_loader.h"
#include "protocols/pass.h"

// ---- what a row asks for ----

bl_segmentation_options bl_segmentation_of(const bl_cell *cell, const bl_fit_options *fit) {
    return (bl_segmentation_options){.encoder = cell->model.encoder,
                                     .optimizer = fit->optimizer,
                                     .precision = cell->model.precision,
                                     .classes = BL_SCENE_CLASSES,
                                     .head_lr_scale = fit->head_lr_scale,
                                     .frozen = fit->frozen};
}

bool bl_segmentation_has_own_step(const bl_cell *cell, int row) {
    const bl_evaluation *asked = &cell->evaluations[row];
    for (int i = 0; i < row; i++) {
        const bl_evaluation *before = &cell->evaluations[i];
        if (before->kind == asked->kind && before->fit.batch == asked->fit.batch && before->segmentation.crop == asked->segmentation.crop &&
            before->fit.frozen == asked->fit.frozen)
            return false;
    }
    return asked->kind == BL_PROTOCOL_SEGMENTATION;
}

static bl_recipe normalisation_of(const bl_cell *cell) {
    bl_recipe colours = {0};
    for (int i = 0; i < cell->evaluation_view.count; i++)
        if (cell->evaluation_view.items[i].kind == BL_NORMALIZE) colours.items[colours.count++] = cell->evaluation_view.items[i];
    return colours;
}

bl_scene_recipe bl_segmentation_crop(const bl_cell *cell, const bl_evaluation *row) {
    const bl_scene_fit_options *o = &row->segmentation;
    return (bl_scene_recipe){.width = o->crop, .height = o->crop, .scale = {o->scale[0], o->scale[1]}, .antialias = true,
                             .flip = o->flip, .colours = normalisation_of(cell)};
}

// ---- whole scenes ----

enum { KEPT_PLANS = 2 };

typedef struct sized { // what scores scenes of one size
    int width, height;
    bl_step_graph graph;
    bl_plan *plan;
    double *classes;    // predicted of a batch, as read
    uint8_t *predicted; // and as counted
    int64_t used;       // when, in runs of scenes of one size
} sized;

struct bl_scorer {
    bl_scorer_options options;
    bl_segmentation_options network;
    sized kept[KEPT_PLANS];
    int64_t runs;
};

int bl_scorer_create(bl_scorer **out, const bl_scorer_options *options) {
    *out = NULL;
    bl_scorer *scorer = bl_alloc(sizeof *scorer);
    if (!scorer) return BL_FAILED;
    *scorer = (bl_scorer){.options = *options, .network = bl_segmentation_of(options->cell, &options->row->fit)};
    *out = scorer;
    return BL_OK;
}

static void forget(sized *one) {
    bl_plan_free(one->plan);
    bl_graph_free(one->graph.graph);
    bl_free(one->classes);
    bl_free(one->predicted);
    *one = (sized){0};
}

void bl_scorer_free(bl_scorer *scorer) {
    if (!scorer) return;
    for (int i = 0; i < KEPT_PLANS; i++) forget(&scorer->kept[i]);
    bl_free(scorer);
}

static int make(const bl_scorer *scorer, int width, int height, sized *one) {
    const int batch = scorer->options.row->segmentation.score_batch;
    const bl_compile_options options = {.accumulate = 1,
                                        .observe = &one->graph.predicted,
                                        .observe_count = 1,
                                        .batch = batch,
                                        .batch_key = "segmentation.score_batch"};
    const size_t pixels = (size_t)batch * width * height;
    *one = (sized){.width = width, .height = height};
    if (bl_segmentation_inference_build(&one->graph, scorer->options.layout, &scorer->network, batch, height, width) ||
        bl_plan_compile(scorer->options.store, one->graph.graph, &options, &one->plan) ||
        !(one->classes = bl_alloc(pixels * sizeof *one->classes)) || !(one->predicted = bl_alloc(pixels))) {
        forget(one);
        return BL_FAILED;
    }
    return BL_OK;
}

// What was used longest ago makes room.
static int find(bl_scorer *scorer, int width, int height, sized **found) {
    sized *oldest = &scorer->kept[0];
    for (int i = 0; i < KEPT_PLANS; i++) {
        sized *one = &scorer->kept[i];
        if (one->plan && one->width == width && one->height == height) {
            *found = one;
            one->used = ++scorer->runs;
            return BL_OK;
        }
        if (one->used < oldest->used) oldest = one;
    }
    forget(oldest);
    if (make(scorer, width, height, oldest)) return BL_FAILED;
    oldest->used = ++scorer->runs;
    *found = oldest;
    return BL_OK;
}

typedef struct scored { // scenes of one size that follow each other
    const sized *sized;
    const uint32_t *samples;
    const bl_onlooker *onlooker;
    bl_confusion *confusion;
} scored;

static int count_classes(void *context, int64_t first, int rows, int slot) {
    const scored *s = context;
    const sized *one = s->sized;
    const size_t area = (size_t)one->width * one->height;
    float *labels;
    if (bl_plan_read(one->plan, one->graph.predicted, one->classes) || bl_plan_slot(one->plan, slot, one->graph.labels, &labels))
        return BL_FAILED;
    for (size_t i = 0; i < area * rows; i++) one->predicted[i] = (uint8_t)one->classes[i];
    if (bl_confusion_add(s->confusion, one->predicted, labels, rows, (int64_t)area)) return BL_FAILED;
    for (int i = 0; s->onlooker && i < rows; i++)
        if (s->onlooker->see(s->onlooker->context, s->samples[first + i], one->width, one->height, one->predicted + area * i))
            return BL_FAILED;
    return BL_OK;
}

// Whole scenes leave nothing to chance.
static int score_run(bl_scorer *scorer, const bl_scenes *scenes, const uint32_t *samples, int64_t count, int width, int height,
                     const bl_onlooker *onlooker, bl_confusion *confusion) {
    const bl_scene_recipe whole = {.width = width, .height = height, .scale = {1, 1}, .colours = normalisation_of(scorer->options.cell)};
    sized *one;
    if (find(scorer, width, height, &one)) return BL_FAILED;
    scored seen = {one, samples, onlooker, confusion};
    bl_pass pass = {.plan = one->plan, .images = one->graph.images, .labels = one->graph.labels, .samples = samples, .count = count,
                    .batch = scorer->options.row->segmentation.score_batch, .no_label = BL_SCENE_IGNORED, .see = count_classes, .context = &seen};
    if (bl_scene_loader_create(&pass.loader, scenes, &whole, 0, scorer->options.loader_threads, BL_STAGING_SLOTS)) return BL_FAILED;
    const int status = bl_pass_run(&pass);
    bl_loader_free(pass.loader); // its threads write into the plan's memory
    return status;
}

static int score_samples(bl_scorer *scorer, const bl_scenes *scenes, const uint32_t *samples, int64_t count, const bl_onlooker *onlooker,
                         bl_confusion *confusion) {
    for (int64_t first = 0, end; first < count; first = end) {
        int width, height, next_width, next_height;
        bl_scenes_size(scenes, samples[first], &width, &height);
        for (end = first + 1; end < count; end++) {
            bl_scenes_size(scenes, samples[end], &next_width, &next_height);
            if (next_width != width || next_height != height) break;
        }
        if (score_run(scorer, scenes, samples + first, end - first, width, height, onlooker, confusion)) return BL_FAILED;
    }
    return BL_OK;
}

int bl_scorer_score(bl_scorer *scorer, const bl_scenes *scenes, const uint32_t *samples, int64_t count, const bl_onlooker *onlooker,
                    bl_segmentation_scores *scores) {
    bl_confusion confusion = {.classes = BL_SCENE_CLASSES};
    uint32_t *every = NULL;
    if (!samples) {
        count = bl_scenes_count(scenes);
        if (!(samples = every = bl_alloc((size_t)count * sizeof *every))) return BL_FAILED;
        for (int64_t i = 0; i < count; i++) every[i] = (uint32_t)i;
    }
    const int status = score_samples(scorer, scenes, samples, count, onlooker, &confusion);
    bl_free(every);
    if (status) return BL_FAILED;
    bl_confusion_scores(&confusion, scores);
    if (!scores->present) return bl_fail("no pixel of the %" PRId64 " scenes to be scored has a class", count);
    return BL_OK;
}
