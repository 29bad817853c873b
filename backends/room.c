#include "backends/room.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h" // bl_text

#define GIB ((double)(1ull << 30))

// ---- what a plan needs, and what would fit ----

// "; <batch> 384 would fit, ..": activations and staging grow with the batch, the rest does not.
static void advise(const bl_room *room, const bl_need *need, bl_text *text) {
    const double growing = (double)need->arena + (double)need->staging;
    const double left = (double)room->free - (double)need->packed;
    int fits = left > 0 ? (int)(0.97 * left / growing * need->batch) : 0;
    if (fits >= 16) fits -= fits % 8;
    if (fits < 1) {
        bl_text_add(text, "; not one image of this size fits beside the weights: a narrower network or smaller views are needed");
        return;
    }
    const char *batch = need->batch_key ? need->batch_key : "a batch of";
    bl_text_add(text, "; %s %d would fit", batch, fits);
    if (!need->accumulate_key) return;
    int parts = 2;
    while (need->batch % parts || need->batch / parts > fits) parts++;
    bl_text_add(text, ", or %s %d with %s %d for as many images an update (batch norm's statistics are then of %d images a view)", batch,
                need->batch / parts, need->accumulate_key, parts * need->accumulate, need->batch / parts);
}

int bl_room_check(const bl_room *room, const bl_need *need) {
    const size_t needed = need->arena + need->staging + need->packed;
    if (!room->total || needed <= room->free) return BL_OK;
    bl_text text = {0};
    bl_text_add(&text, "out of memory on %s: this plan needs %.2f GiB (activations and workspace %.2f, batches %.2f, packed weights %.2f), "
                       "%.2f GiB of %.2f are free",
                room->where, (double)needed / GIB, (double)need->arena / GIB, (double)need->staging / GIB, (double)need->packed / GIB,
                (double)room->free / GIB, (double)room->total / GIB);
    if (need->batch > 0) advise(room, need, &text);
    const int status = bl_fail("%s", text.chars);
    bl_text_free(&text);
    return status;
}

// ---- what this machine has ----

// The number behind `key` at the beginning of a line, or the whole file's where key is ""; `otherwise` where there is none ("max").
static uint64_t number_in(const char *path, const char *key, uint64_t otherwise) {
    FILE *file = fopen(path, "r");
    char line[256];
    uint64_t found = otherwise, number;
    if (!file) return otherwise;
    while (found == otherwise && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%" SCNu64, &number) == 1) found = number;
    fclose(file);
    return found;
}

typedef struct accounts { // how a version of control groups names them
    const char *folder, *limit, *usage;
    const char *files[2]; // in memory.stat
} accounts;

static const accounts versions[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file ", "active_file "}},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file ", "total_active_file "}},
};

static void bound_by(const accounts *of, const char *folder, bl_room *room) {
    char path[4096 + 64];
    snprintf(path, sizeof path, "%s/%s", folder, of->limit);
    const uint64_t limit = number_in(path, "", UINT64_MAX);
    if (limit >= room->total) return;
    snprintf(path, sizeof path, "%s/%s", folder, of->usage);
    uint64_t used = number_in(path, "", 0);
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    for (int i = 0; i < 2; i++) {
        const uint64_t files = number_in(path, of->files[i], 0);
        used -= files < used ? files : used;
    }
    room->total = limit;
    if (limit - (used < limit ? used : limit) < room->free) room->free = limit - (used < limit ? used : limit);
}

// The group and all above it, as far as they are to be seen: in a container the topmost is often all there is.
static void bound_by_all(const accounts *of, const char *root, const char *group, bl_room *room) {
    char folder[4096];
    const size_t top = (size_t)snprintf(folder, sizeof folder, "%s%s", root, of->folder);
    if (snprintf(folder + top, sizeof folder - top, "%s", group) >= (int)(sizeof folder - top)) return;
    for (;;) {
        bound_by(of, folder, room);
        char *last = strrchr(folder + top, '/');
        if (!last) return;
        *last = '\0';
    }
}

// Lines "4:memory:/group", or "0::/group" of version 2.
static void bound_by_groups(const char *root, bl_room *room) {
    char path[4096], line[4096];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (!names[1]) bound_by_all(&versions[0], root, group, room);
        if (strstr(names, "memory")) bound_by_all(&versions[1], root, group, room);
    }
    if (file) fclose(file);
}

void bl_room_of_machine(const char *root, bl_room *room) {
    char path[4096];
    *room = (bl_room){.where = "this machine"};
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    const uint64_t total = number_in(path, "MemTotal:", 0), available = number_in(path, "MemAvailable:", 0);
    if (!total || !available) return;
    room->total = (size_t)total << 10;
    room->free = (size_t)available << 10;
    bound_by_groups(root, room);
}
