// history_file.c - see history_file.h. One data set a column; the rows' texts are one text each, a line a measurement.

#include "record/history_file.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "record/columns.h"

// What a file says of itself is believed only where it can be: its digest tells of damage, not of intent.

static bool is_place(int64_t step, int64_t before, double epoch) { return step >= before && isfinite(epoch) && epoch >= 0; }
static bool is_percent(double value) { return isnan(value) || (value >= 0 && value <= 100 + 1e-9); } // a mean's rounding

#define COUNT(columns) ((int)(sizeof(columns) / sizeof *(columns)))

// ---- steps ----

static const bl_column step_columns[] = {
    {"/step/epoch", offsetof(bl_step_row, epoch)},
    {"/step/loss", offsetof(bl_step_row, loss)},
    {"/step/std", offsetof(bl_step_row, std)},
    {"/step/std_ratio", offsetof(bl_step_row, std_ratio)},
    {"/step/learning_rate", offsetof(bl_step_row, learning_rate)},
    {"/step/tau", offsetof(bl_step_row, tau)},
};

static int put_steps(const bl_history *history, bl_container_writer *writer) {
    const int64_t count = history->step_count;
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps);
    if (!steps) return BL_FAILED;
    for (int64_t i = 0; i < count; i++) steps[i] = history->steps[i].step;
    int status = bl_container_put_i64(writer, "/step/step", steps, &count, 1);
    if (!status) status = bl_columns_put(writer, step_columns, COUNT(step_columns), history->steps, sizeof *history->steps, count);
    bl_free(steps);
    return status;
}

static int get_steps(bl_history *history, const bl_container_reader *reader) {
    int64_t *steps = NULL, count = 0;
    int status = BL_FAILED;
    if (bl_container_get_i64(reader, "/step/step", &steps, &count)) return BL_FAILED;
    for (int64_t i = 0; i < count; i++)
        if (bl_history_add_step(history, &(bl_step_row){.step = steps[i]})) goto done;
    bl_step_row *rows = count ? history->steps + history->step_count - count : NULL;
    for (int c = 0; c < COUNT(step_columns); c++)
        if (bl_column_get(reader, &step_columns[c], rows, sizeof *rows, count)) goto done;
    for (int64_t i = 0; i < count; i++)
        if (!is_place(rows[i].step, i ? rows[i - 1].step : 0, rows[i].epoch) || !isfinite(rows[i].loss)) {
            bl_container_damaged(reader, "row %" PRId64 " of /step is no step of a run", i);
            goto done;
        }
    status = BL_OK;
done:
    bl_free(steps);
    return status;
}

// ---- collapse ----

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

// A verdict is a number; /collapse/verdicts names them, a line each, from 0 on.
static int put_collapse(const bl_history *history, bl_container_writer *writer) {
    const int64_t count = history->collapse_count;
    int status = BL_FAILED;
    bl_text names = {0};
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps), *verdicts = bl_alloc((size_t)count * sizeof *verdicts);
    if (!steps || !verdicts) goto done;
    for (int64_t i = 0; i < count; i++) {
        steps[i] = history->collapse[i].step;
        verdicts[i] = history->collapse[i].verdict;
    }
    for (int i = 0; i < BL_VERDICTS; i++) bl_text_add(&names, "%s\n", bl_verdict_name(i));
    if (bl_container_put_i64(writer, "/collapse/step", steps, &count, 1) || bl_container_put_i64(writer, "/collapse/verdict", verdicts, &count, 1) ||
        bl_container_put_text(writer, "/collapse/verdicts", names.chars) ||
        bl_columns_put(writer, collapse_columns, COUNT(collapse_columns), history->collapse, sizeof *history->collapse, count))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&names);
    bl_free(steps);
    bl_free(verdicts);
    return status;
}

// A file from before there was a diagnosis has none.
static int get_collapse(bl_history *history, const bl_container_reader *reader) {
    int64_t *steps = NULL, *verdicts = NULL, count = 0, verdict_count = 0;
    int status = BL_FAILED;
    if (!bl_container_has(reader, "/collapse/step")) return BL_OK;
    if (bl_container_get_i64(reader, "/collapse/step", &steps, &count) || bl_container_get_i64(reader, "/collapse/verdict", &verdicts, &verdict_count))
        goto done;
    if (verdict_count != count) {
        bl_container_damaged(reader, "/collapse/verdict holds %" PRId64 " values, /collapse/step %" PRId64, verdict_count, count);
        goto done;
    }
    for (int64_t i = 0; i < count; i++) {
        if (verdicts[i] < 0 || verdicts[i] >= BL_VERDICTS) {
            bl_container_damaged(reader, "/collapse/verdict holds %" PRId64 ", which is no verdict", verdicts[i]);
            goto done;
        }
        if (bl_history_add_collapse(history, &(bl_collapse_row){.step = steps[i], .verdict = (bl_verdict)verdicts[i]})) goto done;
    }
    bl_collapse_row *rows = count ? history->collapse + history->collapse_count - count : NULL;
    for (int c = 0; c < COUNT(collapse_columns); c++)
        if (bl_column_get(reader, &collapse_columns[c], rows, sizeof *rows, count)) goto done;
    for (int64_t i = 0; i < count; i++) // its numbers may be NaN: diverged
        if (!is_place(rows[i].step, i ? rows[i - 1].step : 0, rows[i].epoch)) {
            bl_container_damaged(reader, "row %" PRId64 " of /collapse is no diagnosis of a run", i);
            goto done;
        }
    status = BL_OK;
done:
    bl_free(steps);
    bl_free(verdicts);
    return status;
}

// ---- measurements ----

#define SOURCES "/evaluation/source"

static const bl_column measurement_columns[] = {
    {"/evaluation/value", offsetof(bl_measurement, value)},
    {"/evaluation/chosen", offsetof(bl_measurement, chosen)},
    {"/evaluation/validation", offsetof(bl_measurement, validation)},
};

// A line a measurement; nothing where none starts from a file.
static int put_sources(const bl_history *history, bl_container_writer *writer) {
    bl_text sources = {0};
    bool any = false;
    for (int64_t i = 0; i < history->measurement_count; i++) {
        any = any || *history->measurements[i].source;
        bl_text_add(&sources, "%s\n", history->measurements[i].source);
    }
    const int status = any ? bl_container_put_text(writer, SOURCES, sources.chars) : BL_OK;
    bl_text_free(&sources);
    return status;
}

// Files of earlier versions have none.
static int get_sources(bl_history *history, int64_t first, const bl_container_reader *reader) {
    char *lines;
    if (!bl_container_has(reader, SOURCES)) return BL_OK;
    if (bl_container_get_text(reader, SOURCES, &lines)) return BL_FAILED;
    const char *line = lines;
    int status = BL_OK;
    for (int64_t i = first; i < history->measurement_count && !status; i++)
        status = bl_line_take(&line, history->measurements[i].source, sizeof history->measurements[i].source, SOURCES);
    if (!status && *line) status = bl_fail(SOURCES ": more lines than there are measurements");
    bl_free(lines);
    return status;
}

static int put_measurements(const bl_history *history, bl_container_writer *writer) {
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
    if (bl_container_put_text(writer, "/evaluation/row", rows.chars ? rows.chars : "") ||
        bl_container_put_text(writer, "/evaluation/id", ids.chars ? ids.chars : "") ||
        bl_container_put_i64(writer, "/evaluation/epoch", epochs, &count, 1) || put_sources(history, writer) ||
        bl_columns_put(writer, measurement_columns, COUNT(measurement_columns), history->measurements, sizeof *history->measurements, count))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&rows);
    bl_text_free(&ids);
    bl_free(epochs);
    return status;
}

// Older files know no choices: NaN.
static int get_measurements(bl_history *history, const bl_container_reader *reader) {
    int status = BL_FAILED;
    char *row_lines = NULL, *id_lines = NULL;
    int64_t *epochs = NULL, count = 0;
    if (bl_container_get_text(reader, "/evaluation/row", &row_lines) || bl_container_get_text(reader, "/evaluation/id", &id_lines) ||
        bl_container_get_i64(reader, "/evaluation/epoch", &epochs, &count))
        goto done;
    const char *row = row_lines, *id = id_lines;
    for (int64_t i = 0; i < count; i++) {
        if (epochs[i] < 0 || epochs[i] > INT_MAX) {
            bl_container_damaged(reader, "/evaluation/epoch holds %" PRId64, epochs[i]);
            goto done;
        }
        bl_measurement measurement = {.epoch = (int)epochs[i], .value = NAN, .chosen = NAN, .validation = NAN};
        if (bl_line_take(&row, measurement.row, sizeof measurement.row, "/evaluation") ||
            bl_line_take(&id, measurement.id, sizeof measurement.id, "/evaluation") ||
            bl_history_add_measurement(history, &measurement))
            goto done;
    }
    if (bl_lines_end(row, "/evaluation") || bl_lines_end(id, "/evaluation")) goto done;
    bl_measurement *rows = count ? history->measurements + history->measurement_count - count : NULL;
    for (int c = 0; c < COUNT(measurement_columns); c++)
        if ((c == 0 || bl_container_has(reader, measurement_columns[c].path)) &&
            bl_column_get(reader, &measurement_columns[c], rows, sizeof *rows, count))
            goto done;
    for (int64_t i = 0; i < count; i++)
        if (!is_percent(rows[i].value) || !is_percent(rows[i].validation)) {
            bl_container_damaged(reader, "row %" PRId64 " of /evaluation holds no percentage", i);
            goto done;
        }
    status = BL_OK;
done:
    bl_free(row_lines);
    bl_free(id_lines);
    bl_free(epochs);
    return status;
}

// ---- looks ----

static const bl_column look_columns[] = {
    {"/segmentation/look/learning_rate", offsetof(bl_look, learning_rate)},
    {"/segmentation/look/miou_present", offsetof(bl_look, miou_present)},
    {"/segmentation/look/miou_cityscapes", offsetof(bl_look, miou_cityscapes)},
    {"/segmentation/look/accuracy", offsetof(bl_look, accuracy)},
    {"/segmentation/look/batch_accuracy", offsetof(bl_look, batch_accuracy)},
};

// IoU is a table: a row a look, a column a class.
static int put_looks(const bl_history *history, bl_container_writer *writer) {
    const int64_t count = history->look_count, dims[2] = {count, BL_SCENE_CLASSES};
    int status = BL_FAILED;
    bl_text rows = {0}, ids = {0};
    int64_t *steps = bl_alloc((size_t)count * sizeof *steps), *held_out = bl_alloc((size_t)count * sizeof *held_out);
    double *iou = bl_alloc((size_t)(count * BL_SCENE_CLASSES) * sizeof *iou);
    if (!steps || !held_out || !iou) goto done;
    for (int64_t i = 0; i < count; i++) {
        const bl_look *look = &history->looks[i];
        bl_text_add(&rows, "%s\n", look->row);
        bl_text_add(&ids, "%s\n", look->id);
        steps[i] = look->step;
        held_out[i] = look->held_out;
        memcpy(iou + i * BL_SCENE_CLASSES, look->iou, sizeof look->iou);
    }
    if (bl_container_put_text(writer, "/segmentation/look/row", rows.chars) || bl_container_put_text(writer, "/segmentation/look/id", ids.chars) ||
        bl_container_put_i64(writer, "/segmentation/look/step", steps, &count, 1) ||
        bl_container_put_i64(writer, "/segmentation/look/held_out", held_out, &count, 1) ||
        bl_container_put_f64(writer, "/segmentation/look/iou", iou, dims, 2) ||
        bl_columns_put(writer, look_columns, COUNT(look_columns), history->looks, sizeof *history->looks, count))
        goto done;
    status = BL_OK;
done:
    bl_text_free(&rows);
    bl_text_free(&ids);
    bl_free(steps);
    bl_free(held_out);
    bl_free(iou);
    return status;
}

static bool is_look(const bl_look *look) {
    for (int c = 0; c < BL_SCENE_CLASSES; c++)
        if (isinf(look->iou[c])) return false;
    return !isinf(look->miou_present) && !isinf(look->miou_cityscapes) && !isinf(look->accuracy) && !isinf(look->batch_accuracy);
}

static int get_looks(bl_history *history, const bl_container_reader *reader) {
    int status = BL_FAILED;
    char *row_lines = NULL, *id_lines = NULL;
    int64_t *steps = NULL, *held_out = NULL, count = 0, held_out_count = 0, iou_count = 0;
    double *iou = NULL;
    if (!bl_container_has(reader, "/segmentation/look/step")) return BL_OK;
    if (bl_container_get_text(reader, "/segmentation/look/row", &row_lines) || bl_container_get_text(reader, "/segmentation/look/id", &id_lines) ||
        bl_container_get_i64(reader, "/segmentation/look/step", &steps, &count) ||
        bl_container_get_i64(reader, "/segmentation/look/held_out", &held_out, &held_out_count) ||
        bl_container_get_f64(reader, "/segmentation/look/iou", &iou, &iou_count))
        goto done;
    if (held_out_count != count || iou_count != count * BL_SCENE_CLASSES) {
        bl_container_damaged(reader, "the columns of /segmentation/look are not equally long");
        goto done;
    }
    const char *row = row_lines, *id = id_lines;
    for (int64_t i = 0; i < count; i++) {
        if (steps[i] < 0 || (held_out[i] != 0 && held_out[i] != 1)) {
            bl_container_damaged(reader, "row %" PRId64 " of /segmentation/look is no look of a fit", i);
            goto done;
        }
        bl_look look = {.step = steps[i], .held_out = held_out[i]};
        memcpy(look.iou, iou + i * BL_SCENE_CLASSES, sizeof look.iou);
        if (bl_line_take(&row, look.row, sizeof look.row, "/segmentation/look") ||
            bl_line_take(&id, look.id, sizeof look.id, "/segmentation/look") || bl_history_add_look(history, &look))
            goto done;
    }
    if (bl_lines_end(row, "/segmentation/look") || bl_lines_end(id, "/segmentation/look")) goto done;
    bl_look *looks = count ? history->looks + history->look_count - count : NULL;
    for (int c = 0; c < COUNT(look_columns); c++)
        if (bl_column_get(reader, &look_columns[c], looks, sizeof *looks, count)) goto done;
    for (int64_t i = 0; i < count; i++)
        if (!is_look(&looks[i])) {
            bl_container_damaged(reader, "row %" PRId64 " of /segmentation/look holds what no look sees", i);
            goto done;
        }
    status = BL_OK;
done:
    bl_free(row_lines);
    bl_free(id_lines);
    bl_free(steps);
    bl_free(held_out);
    bl_free(iou);
    return status;
}

// ---- pictures ----

typedef struct spot { // a data set of picture n
    char path[64];
} spot;

static spot spot_of(int64_t n, const char *name) {
    spot at;
    snprintf(at.path, sizeof at.path, "/segmentation/picture/%" PRId64 "/%s", n, name);
    return at;
}

static int put_picture(const bl_scene_picture *p, int64_t n, bl_container_writer *writer) {
    const int64_t dims[3] = {p->height, p->width, 3};
    return bl_container_put_text(writer, spot_of(n, "row").path, p->row) || bl_container_put_text(writer, spot_of(n, "id").path, p->id) ||
                   bl_container_put_text(writer, spot_of(n, "scene").path, p->scene) ||
                   bl_container_put_u8(writer, spot_of(n, "image").path, p->image, dims, 3) ||
                   bl_container_put_u8(writer, spot_of(n, "truth").path, p->truth, dims, 2) ||
                   bl_container_put_u8(writer, spot_of(n, "prediction").path, p->prediction, dims, 2)
               ? BL_FAILED
               : BL_OK;
}

static int get_text(const bl_container_reader *reader, spot at, char *dst, size_t room) {
    char *text;
    if (bl_container_get_text(reader, at.path, &text)) return BL_FAILED;
    const bool fits = strlen(text) < room;
    if (fits) memcpy(dst, text, strlen(text) + 1);
    bl_free(text);
    return fits ? BL_OK : bl_fail("%s: a text of more than %zu characters", at.path, room - 1);
}

static int get_bytes(const bl_container_reader *reader, spot at, int64_t wanted, uint8_t **bytes) {
    int64_t *values = bl_alloc((size_t)wanted * sizeof *values);
    int status = !values || bl_container_read_i64(reader, at.path, values, wanted) || !(*bytes = bl_alloc((size_t)wanted)) ? BL_FAILED : BL_OK;
    for (int64_t i = 0; !status && i < wanted; i++) {
        (*bytes)[i] = (uint8_t)values[i];
        if (values[i] < 0 || values[i] > UINT8_MAX) status = bl_container_damaged(reader, "%s holds %" PRId64 ", which is no byte", at.path, values[i]);
    }
    bl_free(values);
    return status;
}

static int get_classes(const bl_container_reader *reader, spot at, int64_t wanted, uint8_t **classes) {
    if (get_bytes(reader, at, wanted, classes)) return BL_FAILED;
    for (int64_t i = 0; i < wanted; i++)
        if ((*classes)[i] >= BL_SCENE_CLASSES && (*classes)[i] != BL_SCENE_IGNORED)
            return bl_container_damaged(reader, "%s holds %d, which is no class", at.path, (*classes)[i]);
    return BL_OK;
}

enum { LARGEST_PICTURE = 1 << 14 }; // its sides

static int get_picture(bl_history *history, const bl_container_reader *reader, int64_t n) {
    bl_scene_picture p = {0};
    int64_t dims[4];
    int rank;
    if (bl_container_dims(reader, spot_of(n, "image").path, dims, &rank)) return BL_FAILED;
    if (rank != 3 || dims[2] != 3 || dims[0] < 1 || dims[0] > LARGEST_PICTURE || dims[1] < 1 || dims[1] > LARGEST_PICTURE)
        return bl_container_damaged(reader, "%s is no image", spot_of(n, "image").path);
    p.height = (int)dims[0];
    p.width = (int)dims[1];
    const int64_t area = dims[0] * dims[1];
    if (get_text(reader, spot_of(n, "row"), p.row, sizeof p.row) || get_text(reader, spot_of(n, "id"), p.id, sizeof p.id) ||
        get_text(reader, spot_of(n, "scene"), p.scene, sizeof p.scene) ||
        get_bytes(reader, spot_of(n, "image"), 3 * area, &p.image) || get_classes(reader, spot_of(n, "truth"), area, &p.truth) ||
        get_classes(reader, spot_of(n, "prediction"), area, &p.prediction)) {
        bl_scene_picture_free(&p);
        return BL_FAILED;
    }
    return bl_history_add_picture(history, &p);
}

// ---- all of it ----

int bl_history_put(const bl_history *history, bl_container_writer *writer) {
    if (put_steps(history, writer) || put_collapse(history, writer) || put_measurements(history, writer)) return BL_FAILED;
    if (history->look_count && put_looks(history, writer)) return BL_FAILED;
    for (int64_t n = 0; n < history->picture_count; n++)
        if (put_picture(&history->pictures[n], n, writer)) return BL_FAILED;
    return BL_OK;
}

int bl_history_get(bl_history *history, const bl_container_reader *reader) {
    const int64_t first = history->measurement_count;
    if (get_steps(history, reader) || get_collapse(history, reader) || get_measurements(history, reader) || get_looks(history, reader) ||
        get_sources(history, first, reader))
        return BL_FAILED;
    for (int64_t n = 0; bl_container_has(reader, spot_of(n, "image").path); n++)
        if (get_picture(history, reader, n)) return BL_FAILED;
    return BL_OK;
}

int bl_history_check(const bl_history *history, const bl_container_reader *reader, int epochs, int64_t steps) {
    const bl_step_row *step = history->step_count ? &history->steps[history->step_count - 1] : NULL; // steps rise
    const bl_collapse_row *collapse = history->collapse_count ? &history->collapse[history->collapse_count - 1] : NULL;
    if ((step && (step->epoch > epochs || (steps && step->step > steps))) || (collapse && (collapse->epoch > epochs || (steps && collapse->step > steps))))
        return bl_container_damaged(reader, "it tells of steps beyond the end of its run");
    for (int64_t i = 0; i < history->measurement_count; i++)
        if (history->measurements[i].epoch > epochs)
            return bl_container_damaged(reader, "it holds a measurement after epoch %d of %d", history->measurements[i].epoch, epochs);
    return BL_OK;
}
