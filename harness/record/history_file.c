#include "record/history_file.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "record/columns.h"

// ---- looks ----

static const bl_column look_columns[] = {
    {"/segmentation/look/learning_rate", offsetof(bl_look, learning_rate)},
    {"/segmentation/look/miou_present", offsetof(bl_look, miou_present)},
    {"/segmentation/look/miou_cityscapes", offsetof(bl_look, miou_cityscapes)},
    {"/segmentation/look/accuracy", offsetof(bl_look, accuracy)},
    {"/segmentation/look/batch_accuracy", offsetof(bl_look, batch_accuracy)},
};
enum { LOOK_COLUMNS = sizeof look_columns / sizeof *look_columns };

// IoU is a table: a row a look, a column a class.
static int put_looks(const bl_history *history, bl_run_writer *writer) {
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
    if (bl_run_put_text(writer, "/segmentation/look/row", rows.chars) || bl_run_put_text(writer, "/segmentation/look/id", ids.chars) ||
        bl_run_put_i64(writer, "/segmentation/look/step", steps, &count, 1) ||
        bl_run_put_i64(writer, "/segmentation/look/held_out", held_out, &count, 1) ||
        bl_run_put_f64(writer, "/segmentation/look/iou", iou, dims, 2) ||
        bl_columns_put(writer, look_columns, LOOK_COLUMNS, history->looks, sizeof *history->looks, count))
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

static int get_looks(bl_history *history, const bl_run_reader *reader) {
    int status = BL_FAILED;
    char *row_lines = NULL, *id_lines = NULL;
    int64_t *steps = NULL, *held_out = NULL, count = 0, held_out_count = 0, iou_count = 0;
    double *iou = NULL;
    if (!bl_run_has(reader, "/segmentation/look/step")) return BL_OK;
    if (bl_run_get_text(reader, "/segmentation/look/row", &row_lines) || bl_run_get_text(reader, "/segmentation/look/id", &id_lines) ||
        bl_run_get_i64(reader, "/segmentation/look/step", &steps, &count) ||
        bl_run_get_i64(reader, "/segmentation/look/held_out", &held_out, &held_out_count) ||
        bl_run_get_f64(reader, "/segmentation/look/iou", &iou, &iou_count))
        goto done;
    if (held_out_count != count || iou_count != count * BL_SCENE_CLASSES) {
        bl_fail("/segmentation/look: the lengths of its columns do not match");
        goto done;
    }
    const char *row = row_lines, *id = id_lines;
    for (int64_t i = 0; i < count; i++) {
        bl_look look = {.step = steps[i], .held_out = held_out[i]};
        memcpy(look.iou, iou + i * BL_SCENE_CLASSES, sizeof look.iou);
        if (bl_line_take(&row, look.row, sizeof look.row, "/segmentation/look") ||
            bl_line_take(&id, look.id, sizeof look.id, "/segmentation/look") || bl_history_add_look(history, &look))
            goto done;
    }
    bl_look *looks = count ? history->looks + history->look_count - count : NULL;
    for (int c = 0; c < LOOK_COLUMNS; c++)
        if (bl_column_get(reader, &look_columns[c], looks, sizeof *looks, count, "/segmentation/look/step")) goto done;
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

static int put_picture(const bl_scene_picture *p, int64_t n, bl_run_writer *writer) {
    const int64_t dims[3] = {p->height, p->width, 3};
    return bl_run_put_text(writer, spot_of(n, "row").path, p->row) || bl_run_put_text(writer, spot_of(n, "id").path, p->id) ||
                   bl_run_put_text(writer, spot_of(n, "scene").path, p->scene) ||
                   bl_run_put_u8(writer, spot_of(n, "image").path, p->image, dims, 3) ||
                   bl_run_put_u8(writer, spot_of(n, "truth").path, p->truth, dims, 2) ||
                   bl_run_put_u8(writer, spot_of(n, "prediction").path, p->prediction, dims, 2)
               ? BL_FAILED
               : BL_OK;
}

static int get_text(const bl_run_reader *reader, spot at, char *dst, size_t room) {
    char *text;
    if (bl_run_get_text(reader, at.path, &text)) return BL_FAILED;
    const bool fits = strlen(text) < room;
    if (fits) memcpy(dst, text, strlen(text) + 1);
    bl_free(text);
    return fits ? BL_OK : bl_fail("%s: a text of more than %zu characters", at.path, room - 1);
}

static int get_bytes(const bl_run_reader *reader, spot at, int64_t wanted, uint8_t **bytes) {
    int64_t *values, count;
    if (bl_run_get_i64(reader, at.path, &values, &count)) return BL_FAILED;
    int status = BL_FAILED;
    if (count != wanted)
        bl_fail("%s holds %" PRId64 " values, its image %" PRId64 " pixels", at.path, count, wanted);
    else if ((*bytes = bl_alloc((size_t)count)))
        status = BL_OK;
    for (int64_t i = 0; !status && i < count; i++) (*bytes)[i] = (uint8_t)values[i];
    bl_free(values);
    return status;
}

static int get_picture(bl_history *history, const bl_run_reader *reader, int64_t n) {
    bl_scene_picture p = {0};
    int64_t dims[4];
    int rank;
    if (bl_run_dims(reader, spot_of(n, "image").path, dims, &rank)) return BL_FAILED;
    if (rank != 3 || dims[2] != 3) return bl_fail("%s is no image", spot_of(n, "image").path);
    p.height = (int)dims[0];
    p.width = (int)dims[1];
    const int64_t area = dims[0] * dims[1];
    if (get_text(reader, spot_of(n, "row"), p.row, sizeof p.row) || get_text(reader, spot_of(n, "id"), p.id, sizeof p.id) ||
        get_text(reader, spot_of(n, "scene"), p.scene, sizeof p.scene) ||
        get_bytes(reader, spot_of(n, "image"), 3 * area, &p.image) || get_bytes(reader, spot_of(n, "truth"), area, &p.truth) ||
        get_bytes(reader, spot_of(n, "prediction"), area, &p.prediction)) {
        bl_scene_picture_free(&p);
        return BL_FAILED;
    }
    return bl_history_add_picture(history, &p);
}

// ---- both ----

int bl_history_put_scenes(const bl_history *history, bl_run_writer *writer) {
    if (history->look_count && put_looks(history, writer)) return BL_FAILED;
    for (int64_t n = 0; n < history->picture_count; n++)
        if (put_picture(&history->pictures[n], n, writer)) return BL_FAILED;
    return BL_OK;
}

int bl_history_get_scenes(bl_history *history, const bl_run_reader *reader) {
    if (get_looks(history, reader)) return BL_FAILED;
    for (int64_t n = 0; bl_run_has(reader, spot_of(n, "image").path); n++)
        if (get_picture(history, reader, n)) return BL_FAILED;
    return BL_OK;
}
