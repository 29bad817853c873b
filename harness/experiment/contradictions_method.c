// What network and method allow and contradict: problems that cannot be trained, or are solved before the first step.

#include "experiment/contradictions.h"

static int check_batch_norm(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_model_options *model = &cell->model;
    const bl_method_options *method = &model->method;
    static const char key[] = "network.batch_norm.statistics_rows";
    const int64_t rows = model->encoder.statistics_rows, batch = cell->train.batch;
    int64_t divisor = rows;
    while (divisor > 1 && batch % divisor) divisor--;
    if (rows && batch % rows)
        return bl_refuse(bl_value_latest_spot(arena, tree, key, "train.batch"), bl_arena_format(arena, "write a divisor of the batch, like %lld", (long long)divisor),
                         "%s: a batch of %lld does not fall into groups of %lld", key, (long long)batch, (long long)rows);
    const bool predictor_normalises = (method->predictor == BL_PREDICTOR_MLP || method->predictor == BL_PREDICTOR_FIXED) &&
                                      method->predictor_head.batch_norm != BL_NORM_NONE;
    const bool heads_normalise = model->projector.batch_norm != BL_NORM_NONE || predictor_normalises;
    if (cell->task != BL_TASK_BYOL) return BL_OK;
    if (heads_normalise && (batch == 1 || rows == 1))
        return bl_refuse(bl_value_spot(arena, tree, batch == 1 ? "train.batch" : key), "write 2 or more, or `batch_norm: none` in the heads",
                         "%s: batch norm over one row makes every row 0", batch == 1 ? "train.batch" : key);
    if (method->normalization == BL_LOSS_BATCH_NORM && batch == 1)
        return bl_refuse(bl_value_spot(arena, tree, "train.batch"), "write 2 or more, or `normalization: l2`",
                         "train.batch: batch norm over one row makes every row 0");
    return BL_OK;
}

static int check_gradient_has_somewhere_to_go(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_method_options *method = &cell->model.method;
    if (method->stop_gradient || method->target == BL_TARGET_ONLINE) return BL_OK;
    return bl_refuse(
        bl_value_latest_spot(arena, tree, "method.stop_gradient", "method.target.source"),
        method->target == BL_TARGET_EMA
            ? "write `stop_gradient: true`, or `source: online` and `stop_gradient: false` for a target that is trained"
            : "write `stop_gradient: true`",
        "method.stop_gradient: no optimiser updates a target of source %s, so the gradient has nowhere to go",
        method->target == BL_TARGET_EMA ? "ema" : "frozen");
}

static int check_target(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_method_options *method = &cell->model.method;
    if (method->target != BL_TARGET_EMA) return BL_OK;
    if (method->tau >= 1)
        return bl_refuse(bl_value_spot(arena, tree, "method.target.tau"), "write `source: frozen` for a target that stays, or tau below 1",
                         "method.target.tau: 1 would never move the target");
    if (method->target_running && !method->average_buffers)
        return bl_refuse(bl_value_latest_spot(arena, tree, "method.target.batch_norm", "method.target.buffers"),
                         "write `buffers: average` beside it, or `batch_norm: batch`",
                         "method.target.batch_norm: a target that normalises by running statistics makes none of its own");
    return BL_OK;
}

// A loss that no view of the pair can change, or that is 0 for weights as they are drawn.
static int check_loss(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    const bl_method_options *method = &cell->model.method;
    if (method->pairing != BL_SAME_VIEW) return BL_OK;
    if (method->one_direction)
        return bl_refuse(bl_value_latest_spot(arena, tree, "method.loss.directions", "method.pairing"),
                         "write `pairing: crossed`, or `directions: both`",
                         "method.loss.directions: one, of the same view: view 2 would be computed and never compared");
    // At tau 0 and before the forward the target takes the online weights every time, however it was drawn.
    const bool follows = method->target == BL_TARGET_EMA && method->target_update == BL_UPDATE_BEFORE_FORWARD && method->tau <= 0;
    const bool starts_equal = method->target == BL_TARGET_ONLINE || method->target_init == BL_TARGET_COPY || follows;
    const bool normalises_alike = method->target != BL_TARGET_EMA || !method->target_running;
    if (method->predictor == BL_PREDICTOR_NONE && starts_equal && normalises_alike)
        return bl_refuse(bl_value_latest_spot(arena, tree, "method.pairing", "method.predictor.kind"),
                         "write `pairing: crossed`, `predictor: {kind: mlp}`, or `init: independent` for the target",
                         "method: the same view through equal networks without a predictor: the loss is 0 before the first step");
    return BL_OK;
}

int bl_method_check(bl_arena *arena, const bl_value *tree, const bl_cell *cell) {
    if (check_batch_norm(arena, tree, cell)) return BL_FAILED;
    if (cell->task != BL_TASK_BYOL) return BL_OK;
    if (check_gradient_has_somewhere_to_go(arena, tree, cell) || check_target(arena, tree, cell)) return BL_FAILED;
    return check_loss(arena, tree, cell);
}
