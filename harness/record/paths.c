#include "record/paths.h"

#include <inttypes.h>
#include <string.h>

const char *bl_run_path(bl_arena *arena, const bl_run_key *key) {
    return bl_arena_format(arena, "%s/%s/%s/seed-%" PRIu64 ".%s.h5", key->results_folder, key->experiment->study, key->cell->name, key->seed,
                           key->experiment->machine.backend);
}

const char *bl_run_beside(bl_arena *arena, const char *run_path, const char *ending) {
    return bl_arena_format(arena, "%.*s%s", (int)strlen(run_path) - 3, run_path, ending); // without ".h5"
}
