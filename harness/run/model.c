#include "run/model.h"

#include <math.h>
#include <string.h>

int bl_model_create(bl_model *model, bl_backend *backend, const bl_cell *cell, uint64_t seed) {
    *model = (bl_model){.backend = backend};
    const bl_compile_options extraction = {.accumulate = 1, .observe = &model->features.features, .observe_count = 1};
    if (bl_layout_create(&model->layout) || bl_byol_build(&model->step, model->layout, &cell->model, cell->train.batch) ||
        bl_features_build(&model->features, model->layout, &cell->model, BL_FEATURE_ROWS) ||
        bl_store_create(backend, model->layout, &model->store) ||
        bl_store_initialize(model->store, seed, cell->model.method.target_init == BL_TARGET_COPY))
        goto failed;
    bl_tensor *observe[] = {model->step.loss, model->step.std};
    const bl_compile_options training = {.accumulate = cell->train.accumulate, .observe = observe, .observe_count = 2};
    if (bl_plan_compile(model->store, model->step.graph, &training, &model->training)) goto failed;
    if (cell->evaluation_count && bl_plan_compile(model->store, model->features.graph, &extraction, &model->extraction)) goto failed;
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

int bl_model_first_bad(bl_model *model, const float *images, const char **name) {
    const bl_graph *graph = model->step.graph;
    const bl_compile_options options = {.accumulate = 1, .observe_all = true};
    bl_plan *plan = NULL;
    double *values = NULL;
    float *host;
    int64_t largest = 0;
    int status = BL_FAILED;
    *name = NULL;
    for (int i = 0; i < graph->tensor_count; i++)
        if (bl_shape_count(&graph->tensors[i]->shape) > largest) largest = bl_shape_count(&graph->tensors[i]->shape);
    if (!(values = bl_alloc((size_t)largest * sizeof *values)) || bl_plan_compile(model->store, graph, &options, &plan) ||
        bl_plan_slot(plan, 0, model->step.images, &host))
        goto done;
    memcpy(host, images, (size_t)bl_shape_count(&model->step.images->shape) * sizeof *host);
    if (bl_plan_step(plan, 0, BL_PHASE_MICRO)) goto done;
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
