#include "protocols/fit_checkpoint.h"

#include <string.h>

#include "base/digest.h"
#include "base/file.h"       // bl_file_exists
#include "protocols/learner.h"
#include "record/blocks.h"
#include "record/identity.h" // bl_identity_same_machine

// ---- which row, from which start ----

enum { LABELS = 5 };

typedef struct label { // of the row: a text each, equal in the file and here
    const char *path, *text;
} label;

static const char *start_digest(bl_learner *learner) {
    if (*learner->start_digest) return learner->start_digest;
    bl_text blocks = {0};
    for (int n = 0; n < BL_MAX_NETWORKS; n++)
        for (int b = 0; b < BL_START_BLOCKS; b++) {
            char digest[65];
            if (!learner->start[n][b]) continue;
            bl_digest_hex(learner->start[n][b], bl_learner_start_floats(learner, n, b) * sizeof *learner->start[n][b], digest);
            bl_text_add(&blocks, "%s\n", digest);
        }
    bl_digest_hex(blocks.chars, blocks.size, learner->start_digest);
    bl_text_free(&blocks);
    return learner->start_digest;
}

static void labels_of(bl_learner *learner, label labels[LABELS]) {
    const bl_fit_keeper *fits = learner->evaluator->fits;
    labels[0] = (label){"/fit/run_id", fits->run_id};
    labels[1] = (label){"/fit/row", fits->row->row};
    labels[2] = (label){"/fit/row_id", fits->row->id};
    labels[3] = (label){"/fit/graph_digest", learner->step.graph->digest};
    labels[4] = (label){"/fit/start_digest", start_digest(learner)};
}

// ---- where it stands ----

void bl_fit_place_begin(bl_fit_place *place, int trial) {
    *place = (bl_fit_place){.trial = trial, .best = place->best, .chosen = place->chosen, .plateau = bl_plateau_start(true)};
}

static int put_place(const bl_fit_place *place, int epoch, bl_run_writer *writer) {
    const int64_t counts[] = {epoch, place->trial, place->step, place->owes_look, place->plateau.bad}, five = 5;
    const double values[] = {place->best, place->chosen, place->plateau.best, place->plateau.scale};
    const int64_t four = 4;
    return bl_run_put_i64(writer, "/fit/counts", counts, &five, 1) || bl_run_put_f64(writer, "/fit/values", values, &four, 1) ? BL_FAILED : BL_OK;
}

static int get_place(bl_fit_place *place, int *epoch, const char *path, const bl_run_reader *reader) {
    int64_t *counts = NULL, count = 0, value_count = 0;
    double *values = NULL;
    int status = BL_FAILED;
    if (bl_run_get_i64(reader, "/fit/counts", &counts, &count) || bl_run_get_f64(reader, "/fit/values", &values, &value_count)) goto done;
    if (count != 5 || value_count != 4) {
        bl_fail("%s: damaged: it does not say where its row stands; move it away to begin that row again", path);
        goto done;
    }
    *epoch = (int)counts[0];
    *place = (bl_fit_place){.trial = (int)counts[1], .step = counts[2], .owes_look = counts[3] != 0, .best = values[0], .chosen = values[1],
                            .plateau = {.best = values[2], .scale = values[3], .bad = (int)counts[4]}};
    status = BL_OK;
done:
    bl_free(counts);
    bl_free(values);
    return status;
}

// ---- writing ----

static int take(bl_run_writer *writer, bl_learner *learner, const bl_fit_place *place) {
    const bl_fit_keeper *fits = learner->evaluator->fits;
    bl_history looks = {.look_count = fits->history->look_count - fits->first_look};
    if (looks.look_count) looks.looks = fits->history->looks + fits->first_look;
    label labels[LABELS];
    labels_of(learner, labels);
    for (int i = 0; i < LABELS; i++)
        if (bl_run_put_text(writer, labels[i].path, labels[i].text)) return BL_FAILED;
    return bl_run_put_text(writer, "/host/machine", fits->machine) || put_place(place, fits->epoch, writer) ||
                           bl_history_put(&looks, writer) ||
                           bl_blocks_put(learner->store, learner->fit->optimizer.kind, writer)
                   ? BL_FAILED
                   : BL_OK;
}

int bl_fit_keep(bl_learner *learner, const bl_fit_place *place) {
    bl_fit_keeper *fits = learner->evaluator->fits;
    bl_run_writer *writer;
    if (!fits) return BL_OK;
    if (fits->before(fits->context) || bl_run_writer_create(&writer)) return BL_FAILED;
    if (take(writer, learner, place)) {
        bl_run_writer_free(writer);
        return BL_FAILED;
    }
    return bl_keeper_write(fits->keeper, writer, fits->path);
}

// ---- reading ----

static int is_of_row(bl_learner *learner, const bl_run_reader *reader, bool *equal) {
    label labels[LABELS];
    *equal = true;
    labels_of(learner, labels);
    for (int i = 0; i < LABELS && *equal; i++) {
        char *text;
        if (bl_run_get_text(reader, labels[i].path, &text)) return BL_FAILED;
        *equal = !strcmp(text, labels[i].text);
        bl_free(text);
    }
    return BL_OK;
}

static int get_looks(bl_history *history, const bl_run_reader *reader) {
    bl_history kept = {0};
    int status = bl_history_get(&kept, reader);
    for (int64_t i = 0; !status && i < kept.look_count; i++) status = bl_history_add_look(history, &kept.looks[i]);
    bl_history_free(&kept);
    return status;
}

static int get_machine(const bl_fit_keeper *fits, const bl_run_reader *reader) {
    bool same;
    if (bl_identity_same_machine(fits->machine, reader, &same)) return BL_FAILED;
    *fits->mixed = *fits->mixed || !same;
    return BL_OK;
}

int bl_fit_restore(bl_learner *learner, bl_fit_place *place) {
    const bl_fit_keeper *fits = learner->evaluator->fits;
    bl_run_reader *reader;
    bl_fit_place kept;
    bool is_ours;
    int epoch;
    if (!fits || bl_keeper_wait(fits->keeper)) return fits ? BL_FAILED : BL_OK;
    if (!bl_file_exists(fits->path)) return BL_OK;
    if (bl_run_reader_open(&reader, fits->path)) return BL_FAILED;
    int status = is_of_row(learner, reader, &is_ours) || (is_ours && get_place(&kept, &epoch, fits->path, reader)) ? BL_FAILED : BL_OK;
    if (!status && is_ours && epoch == fits->epoch) {
        status = get_machine(fits, reader) || get_looks(fits->history, reader) ||
                                 bl_blocks_get(learner->store, learner->fit->optimizer.kind, fits->path, reader)
                         ? BL_FAILED
                         : BL_OK;
        *place = kept;
    }
    bl_run_reader_close(reader);
    return status;
}
