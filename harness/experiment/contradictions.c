#include "experiment/contradictions.h"

#include <string.h>

#include "datasets/facts.h" // bl_dataset_facts
#include "experiment/cell.h"

// What asks for a label an image, or for one size of images.
static int check_scenes(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    if (cell->task != BL_TASK_BYOL)
        return bl_refuse(bl_value_latest_spot(arena, tree, "method.kind", "data.dataset"), "write `kind: byol`, or a data set of images",
                         "method.kind: %s are scenes, which have a label a pixel, not an image", cell->data.name);
    if (cell->is_probed)
        return bl_refuse(bl_value_spot(arena, tree, "method.probe.kind"), "leave it out, and evaluate by `- segmentation:`",
                         "method.probe.kind: %s has no label an image", cell->data.name);
    if (cell->save_features)
        return bl_refuse(bl_value_spot(arena, tree, "save.features"), "leave it out", "save.features: scenes are of any size");
    if (cell->train.steps && bl_cell_images(cell, BL_TRAIN) < 0)
        return bl_refuse(bl_value_spot(arena, tree, "train.steps"), "write `epochs:`",
                         "train.steps: how many scenes an epoch has is known once the folder is opened");
    if (cell->data.extra && !(cell->data.scene_splits >> BL_SCENE_TRAIN_EXTRA & 1))
        return bl_refuse(bl_value_spot(arena, tree, "data.extra"), "write `splits: [train, train_extra]`, or leave it out",
                         "data.extra: scenes of train_extra, which is not trained on");
    for (int v = 0; v < BL_VIEWS; v++)
        if (!bl_recipe_size(&cell->views[v], cell->data.crop))
            return bl_refuse(bl_value_spot(arena, tree, "views"),
                             "write `random_resized_crop: {size: 224}` in it, or `crop: 512` below `data:` for a square they share",
                             "views: a whole scene has no square for view %d", v + 1);
    return BL_OK;
}

static int check_data(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const int64_t all = bl_cell_images(cell, BL_TRAIN);
    const int64_t update = (int64_t)cell->train.batch * cell->train.accumulate;
    if (bl_dataset_facts_of(cell->data.name)->scenes && check_scenes(arena, tree, cell)) return BL_FAILED;
    if (all < 0) return BL_OK; // known once the folder is opened
    if (all < 1)
        return bl_refuse(bl_value_spot(arena, tree, "data.validation"), "write fewer", "data.validation: %d images leave none to train on",
                         cell->data.validation);
    if (update > all) {
        const char *first = cell->train.batch > all ? "train.batch" : "train.accumulate";
        return bl_refuse(bl_value_latest_spot(arena, tree, first, "data.limit"),
                         bl_arena_format(arena, "write a batch times accumulate of at most %lld", (long long)all),
                         "train.batch: an update of %lld images from %lld would never happen", (long long)update, (long long)all);
    }
    if (cell->task != BL_TASK_SUPERVISED) return BL_OK;
    if (bl_share_check(arena, bl_value_spot(arena, tree, "data.labels"), "data.labels", cell, cell->label_share, 0)) return BL_FAILED;
    const double labelled = (double)all * cell->label_share / 100;
    if ((double)update > labelled)
        return bl_refuse(bl_value_latest_spot(arena, tree, "train.batch", "data.labels"),
                         bl_arena_format(arena, "write a batch times accumulate of at most %.0f", labelled),
                         "train.batch: an update of %lld images from %.0f labelled ones would never happen", (long long)update, labelled);
    return BL_OK;
}

// ---- train ----

static int check_optimizer(bl_arena *arena, const bl_value *tree, const bl_optimizer_options *optimizer) {
    if (optimizer->kind != BL_OPTIMIZER_ADAM && optimizer->nesterov && optimizer->momentum <= 0)
        return bl_refuse(bl_value_spot(arena, tree, "train.optimizer.nesterov"), "write a momentum above 0",
                         "train.optimizer.nesterov: there is no momentum to look along");
    if (optimizer->kind != BL_OPTIMIZER_ADAM && optimizer->momentum >= 1)
        return bl_refuse(bl_value_spot(arena, tree, "train.optimizer.momentum"), "write a number below 1",
                         "train.optimizer.momentum: 1 forgets nothing");
    if (optimizer->kind == BL_OPTIMIZER_ADAM && (optimizer->beta1 >= 1 || optimizer->beta2 >= 1))
        return bl_refuse(bl_value_spot(arena, tree, optimizer->beta1 >= 1 ? "train.optimizer.beta1" : "train.optimizer.beta2"),
                         "write a number below 1", "train.optimizer: a moment that never moves");
    return BL_OK;
}

static int check_train(bl_arena *arena, const bl_value *tree, const bl_machine *machine, const bl_cell *cell) {
    if (check_optimizer(arena, tree, &cell->model.optimizer) || bl_schedule_check(arena, tree, cell)) return BL_FAILED;
    if (cell->train.precision == BL_PRECISION_TF32 && strcmp(machine->backend, "cudnn") != 0)
        return bl_refuse(bl_value_latest_spot(arena, tree, "train.precision", "machine.backend"),
                         "write `precision: f32`, or `backend: cudnn` below `machine:`", "train.precision: backend %s has no TF32",
                         machine->backend);
    if (cell->train.stop_when_collapsed && !cell->train.collapse_every)
        return bl_refuse(bl_value_latest_spot(arena, tree, "train.stop_on", "train.collapse_every"), "write `collapse_every: 50`",
                         "train.stop_on: without diagnoses no collapse is seen");
    return BL_OK;
}

int bl_cell_check(bl_arena *arena, const bl_value *tree, const bl_machine *machine, const bl_cell *cell) {
    if (check_data(arena, tree, cell) || bl_views_check(arena, tree, cell) || bl_method_check(arena, tree, cell) ||
        check_train(arena, tree, machine, cell))
        return BL_FAILED;
    return bl_evaluations_check(arena, cell);
}
