// history.c - see history.h. One data set a column; the rows' texts are one text each, a line a measurement.

#include "run/history.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const bl_measurement *bl_history_find(const bl_history *history, const char *row, const char *id, int epoch) {
    for (int64_t i = 0; i < history->measurement_count; i++) {
        const bl_measurement *measurement = &history->measurements[i];
        if (measurement->epoch == epoch && strcmp(measurement->id, id) == 0 && strcmp(measurement->row, row) == 0) return measurement;
    }
    return NULL;
}

void bl_history_free(bl_history *history) {
    bl_free(history->steps);
    bl_free(history->measurements);
    *history = (bl_history){0};
}

// The columns of /step that are real numbers.
static const struct {
    const char *path;
    size_t offset;
} step_columns[] = {
    {"/step/epoch", offsetof(bl_step_row, epoch)},
    {"/step/loss", offsetof(bl_step_row, loss)},
    {"/step/std", offsetof(bl_step_row, std)},
    {"/step/std_ratio", offsetof(bl_step_row, std_ratio)},
    {"/step/learning_rate", offsetof(bl_step_row, learning_rate)},
    {"/step/tau", offsetof(bl_step_row, tau)},
};
enum { STEP_COLUMNS = sizeof step_columns / sizeof step_columns[0] };

static double *step_value(bl_step_row *row, int column) { return (double *)(void *)((char *)row + step_columns[column].offset); }

static int put_steps(const bl_history *history, bl_run_writer *writer) {
    const int64_t count = history->step_count;
    int status = BL_FAILED;
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps);
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!steps || !values) goto done;
    for (int64_t i = 0; i < count; i++) steps[i] = history->steps[i].step;
    if (bl_run_put_i64(writer, "/step/step", steps, &count, 1)) goto done;
    for (int column = 0; column < STEP_COLUMNS; column++) {
        for (int64_t i = 0; i < count; i++) values[i] = *step_value(&history->steps[i], column);
        if (bl_run_put_f64(writer, step_columns[column].path, values, &count, 1)) goto done;
    }
    status = BL_OK;
done:
    bl_free(steps);
    bl_free(values);
    return status;
}

static int put_measurements(const bl_history *history, bl_run_writer *writer) {
    const int64_t count = history->measurement_count;
    int status = BL_FAILED;
    bl_text rows = {0}, ids = {0};
    int64_t *epochs = bl_alloc((size_t)count * sizeof *epochs);
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!epochs || !values) goto done;
    for (int64_t i = 0; i < count; i++) {
        const bl_measurement *measurement = &history->measurements[i];
        bl_text_add(&rows, "%s\n", measurement->row);
        bl_text_add(&ids, "%s\n", measurement->id);
        epochs[i] = measurement->epoch;
        values[i] = measurement->value;
    }
    if (bl_run_put_text(writer, "/evaluation/row", rows.chars ? rows.chars : "") ||
        bl_run_put_text(writer, "/evaluation/id", ids.chars ? ids.chars : "") ||
        bl_run_put_i64(writer, "/evaluation/epoch", epochs, &count, 1) || bl_run_put_f64(writer, "/evaluation/value", values, &count, 1))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&rows);
    bl_text_free(&ids);
    bl_free(epochs);
    bl_free(values);
    return status;
}

int bl_history_put(const bl_history *history, bl_run_writer *writer) {
    if (put_steps(history, writer)) return BL_FAILED;
    return put_measurements(history, writer);
}

static int get_steps(bl_history *history, const bl_run_reader *reader) {
    int status = BL_FAILED;
    int64_t *steps = NULL, count = 0;
    double *columns[STEP_COLUMNS] = {0};
    if (bl_run_get_i64(reader, "/step/step", &steps, &count)) goto done;
    for (int column = 0; column < STEP_COLUMNS; column++) {
        int64_t values = 0;
        if (bl_run_get_f64(reader, step_columns[column].path, &columns[column], &values)) goto done;
        if (values != count) {
            bl_fail("%s holds %lld values, /step/step %lld", step_columns[column].path, (long long)values, (long long)count);
            goto done;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        bl_step_row row = {.step = steps[i]};
        for (int column = 0; column < STEP_COLUMNS; column++) *step_value(&row, column) = columns[column][i];
        if (bl_history_add_step(history, &row)) goto done;
    }
    status = BL_OK;
done:
    bl_free(steps);
    for (int column = 0; column < STEP_COLUMNS; column++) bl_free(columns[column]);
    return status;
}

// Copies the line at *cursor into dst and moves behind it; fails where there is none or it is too long.
static int take_line(const char **cursor, char *dst, size_t room) {
    const char *end = strchr(*cursor, '\n');
    if (!end || (size_t)(end - *cursor) >= room) return bl_fail("/evaluation: the names of its rows do not match its values");
    memcpy(dst, *cursor, (size_t)(end - *cursor));
    dst[end - *cursor] = 0;
    *cursor = end + 1;
    return BL_OK;
}

static int get_measurements(bl_history *history, const bl_run_reader *reader) {
    int status = BL_FAILED;
    char *rows = NULL, *ids = NULL;
    int64_t *epochs = NULL, count = 0, values_there = 0;
    double *values = NULL;
    if (bl_run_get_text(reader, "/evaluation/row", &rows) || bl_run_get_text(reader, "/evaluation/id", &ids) ||
        bl_run_get_i64(reader, "/evaluation/epoch", &epochs, &count) || bl_run_get_f64(reader, "/evaluation/value", &values, &values_there))
        goto done;
    if (values_there != count) {
        bl_fail("/evaluation/value holds %lld values, /evaluation/epoch %lld", (long long)values_there, (long long)count);
        goto done;
    }
    const char *row = rows, *id = ids;
    for (int64_t i = 0; i < count; i++) {
        bl_measurement measurement = {.epoch = (int)epochs[i], .value = values[i]};
        if (take_line(&row, measurement.row, sizeof measurement.row) || take_line(&id, measurement.id, sizeof measurement.id) ||
            bl_history_add_measurement(history, &measurement))
            goto done;
    }
    status = BL_OK;
done:
    bl_free(rows);
    bl_free(ids);
    bl_free(epochs);
    bl_free(values);
    return status;
}

int bl_history_get(bl_history *history, const bl_run_reader *reader) {
    if (get_steps(history, reader)) return BL_FAILED;
    return get_measurements(history, reader);
}
