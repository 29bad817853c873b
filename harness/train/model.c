#include "train/model.h"

#include <math.h>
#include <string.h>

#include "datasets/facts.h"  // bl_dataset_facts
#include "experiment/cell.h" // bl_cell_classes
#include "train/loop.h"      // bl_loop_watch

bl_classifier_options bl_model_classifier(const bl_cell *cell) {
    const bl_model_options *model = &cell->model;
    return (bl_classifier_options){.encoder = model->encoder,
                                   .optimizer = model->optimizer,
                                   .image_size = model->image_size,
                                   .precision = model->precision,
                                   .classes = bl_cell_classes(cell),
                                   .hidden = cell->head_hidden,
                                   .head_lr_scale = cell->head_lr_scale};
}

int bl_model_build_step(bl_step_graph *step, bl_layout *layout, const bl_cell *cell) {
    if (cell->task == BL_TASK_BYOL) return bl_byol_build(step, layout, &cell->model, cell->train.batch);
    const bl_classifier_options classifier = bl_model_classifier(cell);
    return bl_classifier_build(step, layout, &classifier, cell->train.batch);
}

int bl_model_compile(bl_plan **plan, bl_store *store, const bl_step_graph *step, const bl_cell *cell, bool only_report) {
    bl_tensor *const observe[] = {step->projection, step->prediction};
    bl_tensor *watch[BL_WATCHED];
    const bl_compile_options options = {.accumulate = cell->train.accumulate,
                                        .observe = observe,
                                        .observe_count = cell->train.collapse_every && step->projection ? 2 : 0,
                                        .watch = watch,
                                        .watch_count = bl_loop_watch(step, watch),
                                        .tf32 = cell->train.precision == BL_PRECISION_TF32,
                                        .batch = cell->train.batch,
                                        .batch_key = "train.batch",
                                        .accumulate_key = "train.accumulate",
                                        .only_report = only_report};
    return bl_plan_compile(store, step->graph, &options, plan);
}

int bl_model_create(bl_model *model, bl_backend *backend, const bl_cell *cell, uint64_t seed) {
    *model = (bl_model){.backend = backend, .tf32 = cell->train.precision == BL_PRECISION_TF32};
    const bl_compile_options extraction = {.accumulate = 1, .observe = &model->features.features, .observe_count = 1};
    if (bl_layout_create(&model->layout) || bl_model_build_step(&model->step, model->layout, cell) ||
        bl_features_build(&model->features, model->layout, &cell->model.encoder, cell->model.image_size, BL_FEATURE_ROWS) ||
        bl_store_create(backend, model->layout, &model->store) ||
        bl_store_initialize(model->store, seed, cell->model.method.target_init == BL_TARGET_COPY) ||
        bl_model_compile(&model->training, model->store, &model->step, cell, false))
        goto failed;
    const bool extracts = (cell->evaluation_count && !bl_dataset_facts_of(cell->data.name)->scenes) || cell->save_features;
    if (extracts && bl_plan_compile(model->store, model->features.graph, &extraction, &model->extraction)) goto failed;
    return BL_OK;
failed:
    bl_model_free(model);
    return BL_FAILED;
}

void bl_model_free(bl_model *model) {
    bl_plan_free(model->training);
    bl_plan_free(model->extraction);
    bl_store_free(model->store);
    bl_graph_free(model->step.graph);
    bl_graph_free(model->features.graph);
    bl_layout_free(model->layout);
    *model = (bl_model){0};
}

static bool is_finite(const double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

static int copy_slot(const bl_model *model, int slot, bl_plan *plan, const bl_tensor *input) {
    float *from, *to;
    if (!input) return BL_OK;
    if (bl_plan_slot(model->training, slot, input, &from) || bl_plan_slot(plan, 0, input, &to)) return BL_FAILED;
    memcpy(to, from, (size_t)bl_shape_count(&input->shape) * sizeof *to);
    return BL_OK;
}

int bl_model_first_bad(bl_model *model, int slot, const char **name) {
    const bl_graph *graph = model->step.graph;
    const bl_compile_options options = {.accumulate = 1, .observe_all = true, .tf32 = model->tf32};
    bl_plan *plan = NULL;
    double *values = NULL;
    int64_t largest = 0;
    int status = BL_FAILED;
    *name = NULL;
    for (int i = 0; i < graph->tensor_count; i++)
        if (bl_shape_count(&graph->tensors[i]->shape) > largest) largest = bl_shape_count(&graph->tensors[i]->shape);
    if (!(values = bl_alloc((size_t)largest * sizeof *values)) || bl_plan_compile(model->store, graph, &options, &plan) ||
        copy_slot(model, slot, plan, model->step.images) || copy_slot(model, slot, plan, model->step.labels) ||
        bl_plan_step(plan, 0, BL_PHASE_MICRO))
        goto done;
    for (int i = 0; i < graph->node_count && !*name; i++)
        for (int k = 0; k < graph->nodes[i]->output_count && !*name; k++) {
            const bl_tensor *tensor = graph->nodes[i]->outputs[k];
            if (!tensor) continue;
            if (bl_plan_read(plan, tensor, values)) goto done;
            if (!is_finite(values, bl_shape_count(&tensor->shape))) *name = tensor->name;
        }
    status = BL_OK;
done:
    bl_plan_free(plan);
    bl_free(values);
    return status;
}
