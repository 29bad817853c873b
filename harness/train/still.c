#include "train/still.h"

#include "base/memory.h" // bl_alloc

typedef struct still {
    bl_step_graph forward;
    bl_plan *plan;
    bl_loop *loop;
    bl_collapse *window;
    double *projection, *prediction;
} still;

static void free_still(still *s) {
    bl_loop_free(s->loop); // before the plan whose slots it lends
    bl_plan_free(s->plan);
    bl_graph_free(s->forward.graph);
    bl_collapse_free(s->window);
    bl_free(s->projection);
    bl_free(s->prediction);
}

static int compile(still *s, const bl_model *model, const bl_cell *cell) {
    bl_tensor *const observe[] = {s->forward.projection, s->forward.prediction};
    bl_tensor *watch[BL_WATCHED];
    const bl_compile_options options = {.accumulate = 1, .observe = observe, .observe_count = 2, .watch = watch,
                                        .watch_count = bl_loop_watch(&s->forward, watch), .tf32 = model->tf32, .batch = cell->train.batch,
                                        .batch_key = "train.batch"};
    return bl_plan_compile(model->store, s->forward.graph, &options, &s->plan);
}

static int prepare(still *s, const bl_model *model, const bl_cell *cell, const bl_loop_options *training, bl_loader *loader, int64_t first) {
    if (bl_byol_build_forward(&s->forward, model->layout, &cell->model, cell->train.batch) || compile(s, model, cell)) return BL_FAILED;
    const bl_shape *shape = &s->forward.projection->shape;
    const size_t bytes = (size_t)bl_shape_count(shape) * sizeof(double);
    bl_loop_options options = *training;
    options.graph = &s->forward;
    options.plan = s->plan;
    options.loader = loader;
    options.accumulate = 1;
    options.steps = first + bl_collapse_batches(shape->dims[0], (int)shape->dims[1]);
    options.looks_after = NULL;
    if (!(s->projection = bl_alloc(bytes)) || !(s->prediction = bl_alloc(bytes)) || bl_loop_create(&s->loop, &options, first)) return BL_FAILED;
    return bl_collapse_create(&s->window, shape->dims[0], (int)shape->dims[1], 1);
}

// One batch into the window, which a loss that is not finite ends.
static int observe(still *s, bool *complete, bl_collapse_row *row) {
    bl_step_row seen;
    int bad_slot;
    if (bl_loop_step(s->loop, &seen, &bad_slot) && bad_slot < 0) return BL_FAILED;
    if (bl_plan_read(s->plan, s->forward.projection, s->projection) || bl_plan_read(s->plan, s->forward.prediction, s->prediction)) return BL_FAILED;
    return bl_collapse_observe(s->window, &seen, s->projection, s->prediction, complete, row);
}

int bl_still_diagnose(const bl_model *model, const bl_cell *cell, const bl_loop_options *training, bl_loader *loader, int64_t step,
                      bl_collapse_row *row) {
    still s = {0};
    bool complete = false;
    int status = prepare(&s, model, cell, training, loader, step * training->accumulate);
    while (!status && !complete) status = observe(&s, &complete, row);
    free_still(&s);
    return status;
}
