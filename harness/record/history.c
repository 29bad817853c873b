#include "record/history.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h" // bl_grow

int bl_history_add_step(bl_history *history, const bl_step_row *row) {
    if (bl_grow((void **)&history->steps, (int)history->step_count, &history->step_capacity, sizeof *history->steps)) return BL_FAILED;
    history->steps[history->step_count++] = *row;
    return BL_OK;
}

int bl_history_add_measurement(bl_history *history, const bl_measurement *row) {
    if (bl_grow((void **)&history->measurements, (int)history->measurement_count, &history->measurement_capacity, sizeof *history->measurements)) return BL_FAILED;
    history->measurements[history->measurement_count++] = *row;
    return BL_OK;
}

int bl_history_add_collapse(bl_history *history, const bl_collapse_row *row) {
    if (bl_grow((void **)&history->collapse, (int)history->collapse_count, &history->collapse_capacity, sizeof *history->collapse)) return BL_FAILED;
    history->collapse[history->collapse_count++] = *row;
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
    if (bl_grow((void **)&history->looks, (int)history->look_count, &history->look_capacity, sizeof *history->looks)) return BL_FAILED;
    history->looks[history->look_count++] = *row;
    return BL_OK;
}

int bl_history_add_picture(bl_history *history, const bl_scene_picture *picture) {
    if (bl_grow((void **)&history->pictures, (int)history->picture_count, &history->picture_capacity, sizeof *history->pictures)) {
        bl_scene_picture_free(&(bl_scene_picture){.image = picture->image, .truth = picture->truth, .prediction = picture->prediction});
        return BL_FAILED;
    }
    history->pictures[history->picture_count++] = *picture;
    return BL_OK;
}

void bl_history_forget(bl_history *history, int64_t looks, int64_t pictures) {
    history->look_count = looks;
    while (history->picture_count > pictures) bl_scene_picture_free(&history->pictures[--history->picture_count]);
}

static bool rename_one(const char *row, char id[17], const char *wanted_row, const char *from, const char *to) {
    if (strcmp(row, wanted_row) != 0 || strcmp(id, from) != 0) return false;
    snprintf(id, 17, "%s", to);
    return true;
}

bool bl_history_rename(bl_history *history, const char *row, const char *from, const char *to) {
    bool any = false;
    for (int64_t i = 0; i < history->measurement_count; i++)
        any = rename_one(history->measurements[i].row, history->measurements[i].id, row, from, to) || any;
    for (int64_t i = 0; i < history->look_count; i++) rename_one(history->looks[i].row, history->looks[i].id, row, from, to);
    for (int64_t i = 0; i < history->picture_count; i++) rename_one(history->pictures[i].row, history->pictures[i].id, row, from, to);
    return any;
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
