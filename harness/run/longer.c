#include "run/longer.h"

#include <string.h>

#include "base/file.h"       // bl_file_exists
#include "record/identity.h" // bl_identity_check
#include "record/recipe.h"   // bl_recipe_compare
#include "run/checkpoint.h"  // bl_run_file_epoch

const char *bl_kept_checkpoint(bl_arena *arena, const char *run_path, int epochs) {
    return bl_run_beside(arena, run_path, bl_arena_format(arena, ".epoch-%d.ckpt", epochs));
}

// The key whose value depends on where training ends; NULL: there is none. Milestones are counted from its start; a plateau has seen the
// last epoch's rows, which a longer run may not measure there.
static const char *bound_to_its_end(const bl_cell *cell) {
    const bl_schedule_kind kind = cell->train.schedule.kind;
    if (kind != BL_SCHEDULE_CONSTANT && kind != BL_SCHEDULE_STEP) return "train.schedule";
    const bool is_average = cell->task == BL_TASK_BYOL && cell->model.method.target == BL_TARGET_EMA;
    return is_average && cell->model.method.tau_schedule != BL_SCHEDULE_CONSTANT ? "method.target.schedule" : NULL;
}

int bl_longer(bl_arena *arena, const bl_run_key *key, const bl_container_reader *finished, const char *path, const char **checkpoint,
              int *epochs) {
    bl_text difference = {0};
    bool same, longer; // same: not so, as its caller knows
    char *status = NULL;
    int result = BL_FAILED;
    if (bl_recipe_compare(finished, key->cell, &same, &longer, &difference) || bl_container_get_text(finished, "/manifest/status", &status) ||
        bl_run_file_epoch(finished, key->cell, epochs))
        goto done;
    if (!longer) {
        if (bl_identity_check(key, finished, path) == BL_OK) bl_fail("%s: it is of this recipe", path);
        goto done;
    }
    const char *bound = bound_to_its_end(key->cell), *kept = bl_kept_checkpoint(arena, path, *epochs), *because = NULL;
    if (bound) because = bl_arena_format(arena, "%s depends on where training ends", bound);
    else if (strcmp(status, "complete") != 0) because = bl_arena_format(arena, "it ended as \"%s\"", status);
    else if (!bl_file_exists(kept)) because = bl_arena_format(arena, "its last checkpoint is not there (%s; `save: {checkpoint: last}` keeps it)", kept);
    *checkpoint = kept;
    result = because ? bl_fail("%s: this run was made by another recipe: %s; it cannot go on: %s\n  move the file away to train it again from "
                               "the start, or choose another folder by --results; a fit can start from its weights: finetune: {arms: {earlier: "
                               "{run: %s}}}",
                               path, difference.chars, because, path)
                     : BL_OK;
done:
    bl_text_free(&difference);
    bl_free(status);
    return result;
}
