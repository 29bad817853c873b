#include "protocols/fit_checkpoint.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/file.h"           // bl_file_exists
#include "record/blocks.h"
#include "record/history_file.h" // bl_history_put
#include "record/identity.h"     // bl_identity_same_machine

// ---- which row, from which start ----

enum { LABELS = 5 };

typedef struct label { // of the row: a text each, equal in the file and here
    const char *path, *text;
} label;

static void labels_of(const bl_fit_keeper *fits, const bl_fitted *fitted, label labels[LABELS]) {
    labels[0] = (label){"/fit/run_id", fits->run_id};
    labels[1] = (label){"/fit/row", fits->row->row};
    labels[2] = (label){"/fit/row_id", fits->row->id};
    labels[3] = (label){"/fit/graph_digest", fitted->graph_digest};
    labels[4] = (label){"/fit/start_digest", fitted->start_digest(fitted->start)};
}

// ---- where it stands ----

void bl_fit_place_begin(bl_fit_place *place, int trial) {
    *place = (bl_fit_place){.trial = trial, .best = place->best, .chosen = place->chosen, .plateau = bl_plateau_start(true)};
}

static int put_place(const bl_fit_place *place, int epoch, bl_container_writer *writer) {
    const int64_t counts[] = {epoch, place->trial, place->step, place->owes_look, place->plateau.bad}, five = 5;
    const double values[] = {place->best, place->chosen, place->plateau.best, place->plateau.scale};
    const int64_t four = 4;
    return bl_container_put_i64(writer, "/fit/counts", counts, &five, 1) || bl_container_put_f64(writer, "/fit/values", values, &four, 1) ? BL_FAILED : BL_OK;
}

static int get_place(bl_fit_place *place, int64_t *epoch, const bl_container_reader *reader) {
    int64_t counts[5];
    double values[4];
    if (bl_container_read_i64(reader, "/fit/counts", counts, 5) || bl_container_read_f64(reader, "/fit/values", values, 4)) return BL_FAILED;
    bool is_place = counts[3] <= 1 && (values[0] == -1 || (values[0] >= 0 && values[0] <= 1)) && isfinite(values[1]) && !isnan(values[2]) &&
                    values[3] >= 0 && values[3] <= 1;
    for (int i = 0; i < 5; i++) is_place = is_place && counts[i] >= 0 && (i == 2 || counts[i] <= INT_MAX); // updates may be many
    if (!is_place) return bl_container_damaged(reader, "it does not say where its row stands; move it away to begin that row again");
    *epoch = counts[0];
    *place = (bl_fit_place){.trial = (int)counts[1], .step = counts[2], .owes_look = counts[3] != 0, .best = values[0], .chosen = values[1],
                            .plateau = {.best = values[2], .scale = values[3], .bad = (int)counts[4]}};
    return BL_OK;
}

// ---- writing ----

static int take(bl_container_writer *writer, const bl_fit_keeper *fits, const bl_fitted *fitted, const bl_fit_place *place) {
    bl_history looks = {.look_count = fits->history->look_count - fits->first_look};
    if (looks.look_count) looks.looks = fits->history->looks + fits->first_look;
    label labels[LABELS];
    labels_of(fits, fitted, labels);
    for (int i = 0; i < LABELS; i++)
        if (bl_container_put_text(writer, labels[i].path, labels[i].text)) return BL_FAILED;
    return bl_container_put_text(writer, "/host/machine", fits->machine) || put_place(place, fits->epoch, writer) ||
                           bl_history_put(&looks, writer) ||
                           bl_blocks_put(fitted->store, fitted->optimizer, writer)
                   ? BL_FAILED
                   : BL_OK;
}

int bl_fit_keep(const bl_fit_keeper *fits, const bl_fitted *fitted, const bl_fit_place *place) {
    bl_container_writer *writer;
    if (!fits) return BL_OK;
    if (fits->before(fits->context) || bl_container_writer_create(&writer)) return BL_FAILED;
    if (take(writer, fits, fitted, place)) {
        bl_container_writer_free(writer);
        return BL_FAILED;
    }
    return bl_keeper_write(fits->keeper, writer, fits->path);
}

// ---- reading ----

static int is_of_row(const bl_fit_keeper *fits, const bl_fitted *fitted, const bl_container_reader *reader, bool *equal) {
    label labels[LABELS];
    *equal = true;
    labels_of(fits, fitted, labels);
    for (int i = 0; i < LABELS && *equal; i++) {
        char *text;
        if (bl_container_get_text(reader, labels[i].path, &text)) return BL_FAILED;
        *equal = !strcmp(text, labels[i].text);
        bl_free(text);
    }
    return BL_OK;
}

static int get_looks(bl_history *history, const bl_container_reader *reader) {
    bl_history kept = {0};
    int status = bl_history_get(&kept, reader);
    for (int64_t i = 0; !status && i < kept.look_count; i++) status = bl_history_add_look(history, &kept.looks[i]);
    bl_history_free(&kept);
    return status;
}

static int get_machine(const bl_fit_keeper *fits, const bl_container_reader *reader) {
    bool same;
    if (bl_identity_same_machine(fits->machine, reader, &same)) return BL_FAILED;
    *fits->mixed = *fits->mixed || !same;
    return BL_OK;
}

int bl_fit_restore(const bl_fit_keeper *fits, const bl_fitted *fitted, int trials, bl_fit_place *place) {
    bl_container_reader *reader;
    bl_fit_place kept;
    bool is_ours;
    int64_t epoch = -1;
    if (!fits || bl_keeper_wait(fits->keeper)) return fits ? BL_FAILED : BL_OK;
    if (!bl_file_exists(fits->path)) return BL_OK;
    if (bl_container_reader_open(&reader, fits->path)) return BL_FAILED;
    int status = is_of_row(fits, fitted, reader, &is_ours) || (is_ours && get_place(&kept, &epoch, reader)) ? BL_FAILED : BL_OK;
    if (!status && is_ours && kept.trial > trials)
        status = bl_container_damaged(reader, "it stands at fit %d of %d; move it away to begin that row again", kept.trial, trials);
    if (!status && is_ours && epoch == fits->epoch) {
        status = get_machine(fits, reader) || get_looks(fits->history, reader) ||
                                 bl_blocks_get(fitted->store, fitted->optimizer, fits->path, reader)
                         ? BL_FAILED
                         : BL_OK;
        *place = kept;
    }
    bl_container_reader_close(reader);
    return status;
}
