#include "record/standing.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h"
#include "record/history_file.h" // bl_history_get

static int get_one(const bl_container_reader *reader, const char *path, int64_t *value) {
    int64_t *values = NULL, count;
    if (bl_container_get_i64(reader, path, &values, &count)) return BL_FAILED;
    if (count == 1) *value = values[0];
    bl_free(values);
    return count == 1 ? BL_OK : bl_fail("%s holds %" PRId64 " values, not 1", path, count);
}

// 0: no step but the first is logged yet.
static int64_t steps_per_epoch(const bl_history *history) {
    const bl_step_row *last = history->step_count ? &history->steps[history->step_count - 1] : NULL;
    return last && last->epoch > 0 ? llround((double)last->step / last->epoch) : 0;
}

int bl_standing_of(bl_standing *standing, const bl_container_reader *checkpoint, const bl_history *history, const bl_cell *cell) {
    const int64_t per_epoch = steps_per_epoch(history);
    int64_t step = 0, epoch = 0;
    if (get_one(checkpoint, "/trainer/step", &step)) return BL_FAILED;
    if (!bl_container_has(checkpoint, "/trainer/epoch")) epoch = per_epoch ? step / per_epoch : 0; // of earlier versions
    else if (get_one(checkpoint, "/trainer/epoch", &epoch)) return BL_FAILED;
    *standing = (bl_standing){.step = step, .steps = cell->train.steps ? cell->train.steps : per_epoch * cell->train.epochs,
                              .epoch = (int)epoch, .epochs = cell->train.epochs, .is_diagnosed = history->collapse_count > 0};
    if (standing->is_diagnosed) standing->verdict = history->collapse[history->collapse_count - 1].verdict;
    return BL_OK;
}

int bl_standing_peek(bl_standing *standing, const char *checkpoint_path, const bl_cell *cell) {
    bl_container_reader *reader = NULL;
    bl_history history = {0};
    int status = BL_FAILED;
    if (bl_container_reader_peek(&reader, checkpoint_path)) goto done;
    if (bl_history_get(&history, reader) || bl_standing_of(standing, reader, &history, cell)) goto done;
    status = BL_OK;
done:
    bl_history_free(&history);
    bl_container_reader_close(reader);
    return status;
}

void bl_standing_print(const bl_standing *standing, bl_text *text) {
    bl_text_add(text, "step %" PRId64, standing->step);
    if (standing->steps) bl_text_add(text, " of %" PRId64, standing->steps);
    bl_text_add(text, ", epoch %d of %d", standing->epoch, standing->epochs);
    if (standing->is_diagnosed) bl_text_add(text, ", %s", bl_verdict_name(standing->verdict));
}
