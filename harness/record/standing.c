#include "record/standing.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h"
#include "record/history_file.h" // bl_history_get

// 0: no step but the first is logged yet; -1: the last one is logged at an epoch that cannot be its own.
static int64_t steps_per_epoch(const bl_history *history) {
    const bl_step_row *last = history->step_count ? &history->steps[history->step_count - 1] : NULL;
    if (!last || !(last->epoch > 0)) return 0;
    const double steps = round((double)last->step / last->epoch);
    return steps >= 1 && steps <= INT32_MAX ? (int64_t)steps : -1;
}

int bl_standing_of(bl_standing *standing, const bl_container_reader *checkpoint, const bl_history *history, const bl_cell *cell) {
    const int64_t per_epoch = steps_per_epoch(history);
    int64_t step = 0, epoch = 0;
    if (per_epoch < 0) return bl_container_damaged(checkpoint, "it tells of a step at an epoch that cannot be its own");
    if (bl_container_read_i64(checkpoint, "/trainer/step", &step, 1)) return BL_FAILED;
    if (!bl_container_has(checkpoint, "/trainer/epoch")) epoch = per_epoch ? step / per_epoch : 0; // of earlier versions
    else if (bl_container_read_i64(checkpoint, "/trainer/epoch", &epoch, 1)) return BL_FAILED;
    const int64_t steps = cell->train.steps ? cell->train.steps : per_epoch * cell->train.epochs;
    if (bl_history_check(history, checkpoint, cell->train.epochs, steps)) return BL_FAILED;
    if (step < 0 || (steps && step > steps) || epoch < 0 || epoch > cell->train.epochs)
        return bl_container_damaged(checkpoint, "it stands at step %" PRId64 " of %" PRId64 ", epoch %" PRId64 " of %d", step, steps, epoch,
                                    cell->train.epochs);
    *standing = (bl_standing){.step = step, .steps = steps, .epoch = (int)epoch, .epochs = cell->train.epochs, .is_diagnosed = history->collapse_count > 0};
    if (standing->is_diagnosed) standing->verdict = history->collapse[history->collapse_count - 1].verdict;
    return BL_OK;
}

int bl_standing_peek(bl_standing *standing, const char *checkpoint_path, const bl_cell *cell) {
    bl_container_reader *reader = NULL;
    bl_history history = {0};
    int status = BL_FAILED;
    if (bl_container_reader_open(&reader, checkpoint_path)) goto done;
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
