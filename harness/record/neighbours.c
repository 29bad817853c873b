#include "record/neighbours.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256, SHOWN = 8 }; // cells that are looked at, and named

static bool is_cell_of(const bl_experiment *experiment, const char *name) {
    for (int i = 0; i < experiment->cell_count; i++)
        if (!strcmp(experiment->cells[i].name, name)) return true;
    for (int i = 0; i < experiment->skipped_count; i++) // "name: why": a file's cell all the same
        if (!strncmp(experiment->skipped[i], name, strlen(name)) && experiment->skipped[i][strlen(name)] == ':') return true;
    return false;
}

static bool is_of_a_run(const char *name) {
    uint64_t seed;
    int end = 0;
    const char *ending = strrchr(name, '.');
    return sscanf(name, "seed-%" SCNu64 ".%n", &seed, &end) == 1 && end && (!strcmp(ending, ".h5") || !strcmp(ending, ".ckpt"));
}

static bool has_runs(const char *path) {
    bool has = false;
    DIR *folder = opendir(path);
    if (!folder) return false;
    for (const struct dirent *entry; !has && (entry = readdir(folder));) has = is_of_a_run(entry->d_name);
    closedir(folder);
    return has;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

const char *bl_neighbours(bl_arena *arena, const bl_experiment *experiment, const char *results_folder) {
    const char *path = bl_arena_format(arena, "%s/%s", results_folder, experiment->study), *names[MOST];
    int count = 0;
    DIR *folder = opendir(path);
    if (!folder) return NULL;
    for (const struct dirent *entry; count < MOST && (entry = readdir(folder));)
        if (*entry->d_name != '.' && !is_cell_of(experiment, entry->d_name) && has_runs(bl_arena_format(arena, "%s/%s", path, entry->d_name)))
            names[count++] = bl_arena_copy(arena, entry->d_name);
    closedir(folder);
    if (!count) return NULL;
    qsort(names, (size_t)count, sizeof *names, by_name);
    bl_text list = {0};
    for (int i = 0; i < count && i < SHOWN; i++) bl_text_add(&list, "%s%s", i ? ", " : "", names[i]);
    if (count > SHOWN) bl_text_add(&list, " and %d more", count - SHOWN);
    const char *said = bl_arena_format(arena, "the results of %s hold runs of cells that this file has not: %s. Another file is called so too, or cells "
                                       "went or were renamed: the report is of this file's cells alone, in the place of the other's",
                                       experiment->study, list.chars);
    bl_text_free(&list);
    return said;
}
