#include "run/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "datasets/labels.h"     // bl_labels_read
#include "experiment/cell.h"     // bl_cell_asks
#include "record/blocks.h"       // bl_blocks_put
#include "record/history_file.h" // bl_history_put
#include "weights/weights.h"     // bl_preprocessing_of

static int put_progress(const bl_progress *progress, bl_container_writer *writer) {
    const int64_t one = 1, mixed = progress->mixed, epoch = progress->epoch, bad = progress->plateau.bad;
    const double plateau[] = {progress->plateau.best, progress->plateau.scale, progress->epoch_loss};
    const int64_t three = 3;
    if (bl_container_put_i64(writer, "/trainer/step", &progress->step, &one, 1) || bl_container_put_i64(writer, "/trainer/mixed", &mixed, &one, 1) ||
        bl_container_put_i64(writer, "/trainer/epoch", &epoch, &one, 1) || bl_container_put_i64(writer, "/trainer/plateau_bad", &bad, &one, 1) ||
        bl_container_put_f64(writer, "/trainer/plateau", plateau, &three, 1) ||
        bl_stretches_put(&progress->stretches, progress->step, progress->seconds, writer))
        return BL_FAILED;
    return bl_container_put_f64(writer, "/timing/seconds", &progress->seconds, &one, 1);
}

static int get_progress(bl_progress *progress, const bl_run_length *run, const bl_container_reader *reader) {
    int64_t step, mixed, epoch = 0, bad = 0;
    double seconds, plateau[3] = {0};
    *progress = (bl_progress){0};
    if (bl_container_read_i64(reader, "/trainer/step", &step, 1) || bl_container_read_i64(reader, "/trainer/mixed", &mixed, 1) ||
        bl_container_read_f64(reader, "/timing/seconds", &seconds, 1) || bl_stretches_get(&progress->stretches, reader))
        return BL_FAILED;
    const bool has_plateau = bl_container_has(reader, "/trainer/plateau"); // files of earlier versions have none, nor an epoch
    if (has_plateau && (bl_container_read_i64(reader, "/trainer/epoch", &epoch, 1) || bl_container_read_i64(reader, "/trainer/plateau_bad", &bad, 1) ||
                        bl_container_read_f64(reader, "/trainer/plateau", plateau, 3)))
        return BL_FAILED;
    const bool is_within = step >= 0 && step <= run->steps;
    const int64_t begun = is_within ? (step + run->steps_per_epoch - 1) / run->steps_per_epoch : 0;
    if (!is_within || epoch < 0 || epoch > begun)
        return bl_container_damaged(reader, "it stands at step %" PRId64 " of %" PRId64 ", epoch %" PRId64 " of %d", step, run->steps, epoch, run->epochs);
    if ((mixed != 0 && mixed != 1) || !(seconds >= 0 && isfinite(seconds)) || bad < 0 || bad > begun || isnan(plateau[0]) ||
        !(plateau[1] >= 0 && plateau[1] <= 1) || !isfinite(plateau[2]))
        return bl_container_damaged(reader, "what it says of the state of its run cannot be");
    const bl_stretches *made = &progress->stretches;
    if (made->past_count && made->past[made->past_count - 1].last > step)
        return bl_container_damaged(reader, "it tells of steps beyond the one at which it stands");
    progress->step = step;
    progress->mixed = mixed;
    progress->seconds = seconds;
    progress->epoch = (int)epoch;
    progress->plateau = (bl_plateau){.best = plateau[0], .scale = plateau[1], .bad = (int)bad};
    progress->epoch_loss = plateau[2];
    return BL_OK;
}

int bl_run_file_epoch(const bl_container_reader *reader, const bl_cell *cell, int *epoch) {
    int64_t value;
    *epoch = cell->train.epochs;
    if (!bl_container_has(reader, "/trainer/epoch")) return BL_OK; // files of earlier versions never stop before their time
    if (bl_container_read_i64(reader, "/trainer/epoch", &value, 1)) return BL_FAILED;
    if (value < 0 || value > cell->train.epochs)
        return bl_container_damaged(reader, "it ended after epoch %" PRId64 " of %d", value, cell->train.epochs);
    *epoch = (int)value;
    return BL_OK;
}

// What images must look like to these weights: they travel with it.
static int put_preprocessing(const bl_cell *cell, bl_container_writer *writer) {
    const bl_preprocessing p = bl_preprocessing_of(&cell->evaluation_view, cell->model.image_size);
    const int64_t one = 1, three = 3, size = p.image_size, resize = p.resize;
    if (bl_container_put_i64(writer, "/preprocessing/image_size", &size, &one, 1)) return BL_FAILED;
    if (resize && bl_container_put_i64(writer, "/preprocessing/resize", &resize, &one, 1)) return BL_FAILED;
    if (!p.known) return BL_OK;
    return bl_container_put_f64(writer, "/preprocessing/mean", p.mean, &three, 1) || bl_container_put_f64(writer, "/preprocessing/std", p.std, &three, 1)
                   ? BL_FAILED
                   : BL_OK;
}

// A program that builds another graph from the same recipe must not go on with the old one's state.
static int check_graph(const bl_model *model, const bl_container_reader *reader, const char *path) {
    char *digest = NULL;
    if (bl_container_get_text(reader, "/manifest/graph_digest", &digest)) return BL_FAILED;
    const bool same = !strcmp(digest, model->step.graph->digest);
    bl_free(digest);
    return same ? BL_OK
                : bl_fail("%s: it was made by another version of byolab, whose graph differs; finish it with that version, or move the "
                          "file away to start again",
                          path);
}

int bl_checkpoint_take(bl_container_writer **writer, const bl_identity *identity, const bl_run_key *key, const bl_model *model,
                       const bl_progress *progress, const bl_collapse *collapse, const bl_history *history) {
    bl_container_writer *made = NULL;
    *writer = NULL;
    if (bl_container_writer_create(&made) || bl_identity_put(identity, key, model->backend, model->step.graph->digest, "incomplete", made) || put_progress(progress, made) ||
        (collapse && bl_collapse_put(collapse, made)) || bl_history_put(history, made) ||
        bl_blocks_put(model->store, key->cell->model.optimizer.kind, made)) {
        bl_container_writer_free(made);
        return BL_FAILED;
    }
    *writer = made;
    return BL_OK;
}

int bl_checkpoint_read(const char *path, const bl_container_reader *reader, const bl_identity *identity, const bl_cell *cell,
                       const bl_run_length *run, bl_model *model, bl_progress *progress, bl_collapse *collapse, bl_history *history) {
    bool same_machine;
    if (check_graph(model, reader, path) || bl_identity_check_data(identity, reader, path) || get_progress(progress, run, reader) ||
        (collapse && bl_collapse_get(collapse, reader)) || bl_history_get(history, reader) ||
        bl_history_check(history, reader, run->epochs, run->steps) ||
        bl_identity_same_machine(identity->machine, reader, &same_machine) ||
        bl_blocks_get(model->store, cell->model.optimizer.kind, path, reader))
        return BL_FAILED;
    progress->mixed = progress->mixed || !same_machine || !bl_stretches_same_cpu(&progress->stretches);
    return BL_OK;
}

// /features/<split> [rows, width] and /features/<split>_labels: of the splits that rows look at; of all where there is no row.
static int put_features(const bl_evaluator *evaluator, bl_container_writer *writer) {
    const bl_cell *cell = evaluator->cell;
    for (int split = 0; split < BL_SPLITS; split++) {
        const int64_t dims[2] = {bl_dataset_count(evaluator->dataset, (bl_split)split), evaluator->model->features.features->shape.dims[1]};
        char path[64];
        float *values = NULL;
        if (!dims[0] || (cell->evaluation_count && !bl_cell_asks(cell, (bl_split)split))) continue;
        if (bl_extract_features(evaluator, (bl_split)split, 0, &values)) return BL_FAILED;
        snprintf(path, sizeof path, "/features/%s", bl_split_name((bl_split)split));
        int status = bl_container_put_f32(writer, path, values, dims, 2);
        bl_free(values);
        uint8_t *labels;
        if (status || bl_labels_read(evaluator->dataset, (bl_split)split, &labels)) return BL_FAILED;
        snprintf(path, sizeof path, "/features/%s_labels", bl_split_name((bl_split)split));
        status = bl_container_put_u8(writer, path, labels, dims, 1);
        bl_free(labels);
        if (status) return BL_FAILED;
    }
    return BL_OK;
}

int bl_run_file_write(const char *path, const bl_identity *identity, const bl_run_key *key, const bl_evaluator *evaluator,
                      const bl_progress *progress, const bl_history *history) {
    const bl_model *model = evaluator->model;
    bl_container_writer *writer = NULL;
    int status = BL_FAILED;
    const char *ended = progress->stopped ? "stopped: collapsed" : "complete";
    if (bl_container_writer_create(&writer) || bl_identity_put(identity, key, model->backend, model->step.graph->digest, ended, writer) || put_progress(progress, writer) ||
        bl_history_put(history, writer) || put_preprocessing(key->cell, writer) ||
        (key->cell->save_weights && bl_blocks_put_weights(model->store, writer)) ||
        (key->cell->save_features && put_features(evaluator, writer)) || bl_container_writer_save(writer, path))
        goto done;
    status = BL_OK;
done:
    bl_container_writer_free(writer);
    return status;
}

int bl_run_file_restore(const char *path, const bl_container_reader *reader, const bl_run_length *run, bl_model *model, bl_progress *progress) {
    if (!bl_container_has(reader, "/weights")) return bl_fail("%s holds no weights (save: {weights: none}); nothing can be evaluated from it", path);
    char *status = NULL;
    if (get_progress(progress, run, reader) || bl_container_get_text(reader, "/manifest/status", &status)) return BL_FAILED;
    progress->stopped = strcmp(status, "complete") != 0;
    bl_free(status);
    return bl_blocks_get_weights(model->store, path, reader);
}
