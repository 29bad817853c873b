// history.c - see history.h. One data set a column; the rows' texts are one text each, a line a measurement.

#include "record/history.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/columns.h"
#include "record/history_file.h"

// Room for one more item; NULL where memory is short.
static void *grown(void *items, int64_t count, int64_t *capacity, size_t item_bytes) {
    if (count < *capacity) return items;
    const int64_t larger = *capacity ? *capacity * 2 : 64;
    void *moved = bl_alloc((size_t)larger * item_bytes);
    if (!moved) return NULL;
    if (count) memcpy(moved, items, (size_t)count * item_bytes);
    bl_free(items);
    *capacity = larger;
    return moved;
}

int bl_history_add_step(bl_history *history, const bl_step_row *row) {
    bl_step_row *steps = grown(history->steps, history->step_count, &history->step_capacity, sizeof *steps);
    if (!steps) return BL_FAILED;
    history->steps = steps;
    steps[history->step_count++] = *row;
    return BL_OK;
}

int bl_history_add_measurement(bl_history *history, const bl_measurement *row) {
    bl_measurement *rows = grown(history->measurements, history->measurement_count, &history->measurement_capacity, sizeof *rows);
    if (!rows) return BL_FAILED;
    history->measurements = rows;
    rows[history->measurement_count++] = *row;
    return BL_OK;
}

int bl_history_add_collapse(bl_history *history, const bl_collapse_row *row) {
    bl_collapse_row *rows = grown(history->collapse, history->collapse_count, &history->collapse_capacity, sizeof *rows);
    if (!rows) return BL_FAILED;
    history->collapse = rows;
    rows[history->collapse_count++] = *row;
    return BL_OK;
}

const bl_measurement *bl_history_find(const bl_history *history, const char *row, const char *id, int epoch) {
    for (int64_t i = 0; i < history->measurement_count; i++) {
        const bl_measurement *measurement = &history->measurements[i];
        if (measurement->epoch == epoch && strcmp(measurement->id, id) == 0 && strcmp(measurement->row, row) == 0) return measurement;
    }
    return NULL;
}

int bl_history_add_look(bl_history *history, const bl_look *row) {
    bl_look *looks = grown(history->looks, history->look_count, &history->look_capacity, sizeof *looks);
    if (!looks) return BL_FAILED;
    history->looks = looks;
    looks[history->look_count++] = *row;
    return BL_OK;
}

int bl_history_add_picture(bl_history *history, const bl_scene_picture *picture) {
    bl_scene_picture *pictures = grown(history->pictures, history->picture_count, &history->picture_capacity, sizeof *pictures);
    if (!pictures) {
        bl_scene_picture_free(&(bl_scene_picture){.image = picture->image, .truth = picture->truth, .prediction = picture->prediction});
        return BL_FAILED;
    }
    history->pictures = pictures;
    pictures[history->picture_count++] = *picture;
    return BL_OK;
}

void bl_history_forget(bl_history *history, int64_t looks, int64_t pictures) {
    history->look_count = looks;
    while (history->picture_count > pictures) bl_scene_picture_free(&history->pictures[--history->picture_count]);
}

static bool is_of(const bl_look *look, const char *row, const char *id) {
    return !look->held_out && !strcmp(look->id, id) && !strcmp(look->row, row);
}

int bl_history_looks(const bl_history *history, const char *row, const char *id) {
    int count = 0;
    for (int64_t i = 0; i < history->look_count; i++) count += is_of(&history->looks[i], row, id);
    return count;
}

const bl_look *bl_history_last_look(const bl_history *history, const char *row, const char *id) {
    for (int64_t i = history->look_count; i-- > 0;)
        if (is_of(&history->looks[i], row, id)) return &history->looks[i];
    return NULL;
}

const bl_look *bl_history_best_look(const bl_history *history, const char *row, const char *id) {
    const bl_look *best = NULL;
    for (int64_t i = 0; i < history->look_count; i++) {
        const bl_look *look = &history->looks[i];
        if (is_of(look, row, id) && (!best || look->miou_present > best->miou_present)) best = look;
    }
    return best;
}

void bl_scene_picture_free(bl_scene_picture *picture) {
    bl_free(picture->image);
    bl_free(picture->truth);
    bl_free(picture->prediction);
    *picture = (bl_scene_picture){0};
}

void bl_history_free(bl_history *history) {
    for (int64_t i = 0; i < history->picture_count; i++) bl_scene_picture_free(&history->pictures[i]);
    bl_free(history->looks);
    bl_free(history->pictures);
    bl_free(history->steps);
    bl_free(history->measurements);
    bl_free(history->collapse);
    *history = (bl_history){0};
}

static const char *const verdict_names[BL_VERDICTS] = {"undetermined", "healthy", "collapsing", "collapsed",
                                                       "dimensional", "stuck", "diverged"};

const char *bl_verdict_name(bl_verdict verdict) { return verdict_names[verdict]; }

// ---- columns of numbers ----

static const bl_column step_columns[] = {
    {"/step/epoch", offsetof(bl_step_row, epoch)},
    {"/step/loss", offsetof(bl_step_row, loss)},
    {"/step/std", offsetof(bl_step_row, std)},
    {"/step/std_ratio", offsetof(bl_step_row, std_ratio)},
    {"/step/learning_rate", offsetof(bl_step_row, learning_rate)},
    {"/step/tau", offsetof(bl_step_row, tau)},
};

static const bl_column collapse_columns[] = {
    {"/collapse/epoch", offsetof(bl_collapse_row, epoch)},
    {"/collapse/loss", offsetof(bl_collapse_row, loss)},
    {"/collapse/std", offsetof(bl_collapse_row, std)},
    {"/collapse/std_ratio", offsetof(bl_collapse_row, std_ratio)},
    {"/collapse/mean_cosine", offsetof(bl_collapse_row, mean_cosine)},
    {"/collapse/rank", offsetof(bl_collapse_row, rank)},
    {"/collapse/rankme", offsetof(bl_collapse_row, rankme)},
    {"/collapse/alignment", offsetof(bl_collapse_row, alignment)},
    {"/collapse/uniformity", offsetof(bl_collapse_row, uniformity)},
    {"/collapse/norm", offsetof(bl_collapse_row, norm)},
    {"/collapse/prediction_norm", offsetof(bl_collapse_row, prediction_norm)},
};

static const bl_column measurement_columns[] = {
    {"/evaluation/value", offsetof(bl_measurement, value)},
    {"/evaluation/chosen", offsetof(bl_measurement, chosen)},
    {"/evaluation/validation", offsetof(bl_measurement, validation)},
};

#define COUNT(columns) ((int)(sizeof(columns) / sizeof *(columns)))

// ---- writing ----

static int put_steps(const bl_history *history, bl_run_writer *writer) {
    const int64_t count = history->step_count;
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps);
    if (!steps) return BL_FAILED;
    for (int64_t i = 0; i < count; i++) steps[i] = history->steps[i].step;
    int status = bl_run_put_i64(writer, "/step/step", steps, &count, 1);
    if (!status) status = bl_columns_put(writer, step_columns, COUNT(step_columns), history->steps, sizeof *history->steps, count);
    bl_free(steps);
    return status;
}

// A verdict is a number; /collapse/verdicts names them, a line each, from 0 on.
static int put_collapse(const bl_history *history, bl_run_writer *writer) {
    const int64_t count = history->collapse_count;
    int status = BL_FAILED;
    bl_text names = {0};
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps), *verdicts = bl_alloc((size_t)count * sizeof *verdicts);
    if (!steps || !verdicts) goto done;
    for (int64_t i = 0; i < count; i++) {
        steps[i] = history->collapse[i].step;
        verdicts[i] = history->collapse[i].verdict;
    }
    for (int i = 0; i < BL_VERDICTS; i++) bl_text_add(&names, "%s\n", verdict_names[i]);
    if (bl_run_put_i64(writer, "/collapse/step", steps, &count, 1) || bl_run_put_i64(writer, "/collapse/verdict", verdicts, &count, 1) ||
        bl_run_put_text(writer, "/collapse/verdicts", names.chars) ||
        bl_columns_put(writer, collapse_columns, COUNT(collapse_columns), history->collapse, sizeof *history->collapse, count))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&names);
    bl_free(steps);
    bl_free(verdicts);
    return status;
}

static int put_measurements(const bl_history *history, bl_run_writer *writer) {
    const int64_t count = history->measurement_count;
    int status = BL_FAILED;
    bl_text rows = {0}, ids = {0};
    int64_t *epochs = bl_alloc((size_t)count * sizeof *epochs);
    if (!epochs) goto done;
    for (int64_t i = 0; i < count; i++) {
        const bl_measurement *measurement = &history->measurements[i];
        bl_text_add(&rows, "%s\n", measurement->row);
        bl_text_add(&ids, "%s\n", measurement->id);
        epochs[i] = measurement->epoch;
    }
    if (bl_run_put_text(writer, "/evaluation/row", rows.chars ? rows.chars : "") ||
        bl_run_put_text(writer, "/evaluation/id", ids.chars ? ids.chars : "") ||
        bl_run_put_i64(writer, "/evaluation/epoch", epochs, &count, 1) ||
        bl_columns_put(writer, measurement_columns, COUNT(measurement_columns), history->measurements, sizeof *history->measurements, count))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&rows);
    bl_text_free(&ids);
    bl_free(epochs);
    return status;
}

int bl_history_put(const bl_history *history, bl_run_writer *writer) {
    if (put_steps(history, writer) || put_collapse(history, writer) || put_measurements(history, writer)) return BL_FAILED;
    return bl_history_put_scenes(history, writer);
}

// ---- reading ----

static int get_steps(bl_history *history, const bl_run_reader *reader) {
    int64_t *steps = NULL, count = 0;
    int status = BL_FAILED;
    if (bl_run_get_i64(reader, "/step/step", &steps, &count)) return BL_FAILED;
    for (int64_t i = 0; i < count; i++)
        if (bl_history_add_step(history, &(bl_step_row){.step = steps[i]})) goto done;
    bl_step_row *rows = count ? history->steps + history->step_count - count : NULL;
    for (int c = 0; c < COUNT(step_columns); c++)
        if (bl_column_get(reader, &step_columns[c], rows, sizeof *rows, count, "/step/step")) goto done;
    status = BL_OK;
done:
    bl_free(steps);
    return status;
}

// A file from before there was a diagnosis has none.
static int get_collapse(bl_history *history, const bl_run_reader *reader) {
    int64_t *steps = NULL, *verdicts = NULL, count = 0, verdict_count = 0;
    int status = BL_FAILED;
    if (!bl_run_has(reader, "/collapse/step")) return BL_OK;
    if (bl_run_get_i64(reader, "/collapse/step", &steps, &count) || bl_run_get_i64(reader, "/collapse/verdict", &verdicts, &verdict_count))
        goto done;
    if (verdict_count != count) {
        bl_fail("/collapse/verdict holds %lld values, /collapse/step %lld", (long long)verdict_count, (long long)count);
        goto done;
    }
    for (int64_t i = 0; i < count; i++) {
        if (verdicts[i] < 0 || verdicts[i] >= BL_VERDICTS) {
            bl_fail("/collapse/verdict holds %lld, which is no verdict", (long long)verdicts[i]);
            goto done;
        }
        if (bl_history_add_collapse(history, &(bl_collapse_row){.step = steps[i], .verdict = (bl_verdict)verdicts[i]})) goto done;
    }
    bl_collapse_row *rows = count ? history->collapse + history->collapse_count - count : NULL;
    for (int c = 0; c < COUNT(collapse_columns); c++)
        if (bl_column_get(reader, &collapse_columns[c], rows, sizeof *rows, count, "/collapse/step")) goto done;
    status = BL_OK;
done:
    bl_free(steps);
    bl_free(verdicts);
    return status;
}

// Older files know no choices: NaN.
static int get_measurements(bl_history *history, const bl_run_reader *reader) {
    int status = BL_FAILED;
    char *row_lines = NULL, *id_lines = NULL;
    int64_t *epochs = NULL, count = 0;
    if (bl_run_get_text(reader, "/evaluation/row", &row_lines) || bl_run_get_text(reader, "/evaluation/id", &id_lines) ||
        bl_run_get_i64(reader, "/evaluation/epoch", &epochs, &count))
        goto done;
    const char *row = row_lines, *id = id_lines;
    for (int64_t i = 0; i < count; i++) {
        bl_measurement measurement = {.epoch = (int)epochs[i], .value = NAN, .chosen = NAN, .validation = NAN};
        if (bl_line_take(&row, measurement.row, sizeof measurement.row, "/evaluation") ||
            bl_line_take(&id, measurement.id, sizeof measurement.id, "/evaluation") ||
            bl_history_add_measurement(history, &measurement))
            goto done;
    }
    bl_measurement *rows = count ? history->measurements + history->measurement_count - count : NULL;
    for (int c = 0; c < COUNT(measurement_columns); c++)
        if ((c == 0 || bl_run_has(reader, measurement_columns[c].path)) &&
            bl_column_get(reader, &measurement_columns[c], rows, sizeof *rows, count, "/evaluation/epoch"))
            goto done;
    status = BL_OK;
done:
    bl_free(row_lines);
    bl_free(id_lines);
    bl_free(epochs);
    return status;
}

int bl_history_get(bl_history *history, const bl_run_reader *reader) {
    if (get_steps(history, reader) || get_collapse(history, reader) || get_measurements(history, reader)) return BL_FAILED;
    return bl_history_get_scenes(history, reader);
}
