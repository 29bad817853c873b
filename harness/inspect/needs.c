#include "inspect/needs.h"

#include "protocols/segmenter.h" // bl_segmentation_of
#include "train/loop.h"          // bl_loop_watch
#include "train/model.h"         // bl_model_build_step, bl_model_compile

typedef struct step { // that is planned
    bl_layout *layout;
    bl_step_graph graph;
    bl_store *store;
    bl_plan *plan;
} step;

static size_t store_bytes(const bl_layout *layout) {
    size_t floats = 0;
    for (int n = 0; n < layout->network_count; n++)
        for (int kind = 0; kind < BL_BLOCK_KINDS; kind++)
            if (layout->networks[n].trainable || kind == BL_PARAMETERS || kind == BL_BUFFERS)
                floats += bl_place_count(layout, (bl_place){n, (bl_block_kind)kind, BL_WHOLE_BLOCK});
    return floats * sizeof(float);
}

static void read_needs(const step *of, bl_needs *needs) {
    bl_plan_report report;
    of->plan->backend->table->report(of->plan, &report);
    *needs = (bl_needs){report.arena_bytes, report.staging_bytes, report.packed_bytes, store_bytes(of->layout), report.free_bytes};
}

static void release(step *of) {
    bl_plan_free(of->plan);
    bl_store_free(of->store);
    bl_graph_free(of->graph.graph);
    bl_layout_free(of->layout);
}

int bl_needs_of_training(bl_backend *backend, const bl_cell *cell, bl_needs *needs) {
    step of = {0};
    const int status = bl_layout_create(&of.layout) || bl_model_build_step(&of.graph, of.layout, cell) ||
                                       bl_store_create(backend, of.layout, &of.store) ||
                                       bl_model_compile(&of.plan, of.store, &of.graph, cell, true)
                               ? BL_FAILED
                               : BL_OK;
    if (!status) read_needs(&of, needs);
    release(&of);
    return status;
}

int bl_needs_of_segmentation(bl_backend *backend, const bl_cell *cell, const bl_evaluation *row, bl_needs *needs) {
    const bl_segmentation_options network = bl_segmentation_of(cell, &row->fit);
    const int batch = row->fit.batch, crop = row->segmentation.crop;
    bl_tensor *watch[BL_WATCHED];
    step of = {0};
    int status = BL_FAILED;
    if (bl_layout_create(&of.layout) || bl_segmentation_build(&of.graph, of.layout, &network, batch, crop, crop) ||
        bl_store_create(backend, of.layout, &of.store))
        goto done;
    const bl_compile_options options = {.accumulate = 1,
                                        .watch = watch,
                                        .watch_count = bl_loop_watch(&of.graph, watch),
                                        .tf32 = cell->train.precision == BL_PRECISION_TF32,
                                        .batch = batch,
                                        .batch_key = "segmentation.batch",
                                        .only_report = true};
    if (bl_plan_compile(of.store, of.graph.graph, &options, &of.plan)) goto done;
    read_needs(&of, needs);
    status = BL_OK;
done:
    release(&of);
    return status;
}
