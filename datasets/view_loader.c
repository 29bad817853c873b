#include "datasets/view_loader.h"

#include "base/memory.h"
#include "base/random.h"

enum { SAMPLES_A_TASK = 8 }; // long enough (about 20 us a view of 32 pixels) that handing out tasks costs nothing; of scenes one is

typedef struct view_maker {
    const bl_dataset *dataset;
    bl_split split;
    const bl_recipe *recipes;
    int views;
    uint64_t seed;
    int out; // pixels a side of every view
} view_maker;

typedef struct workspace { // of a thread
    bl_picture picture;
    bl_view_scratch scratch;
} workspace;

static void free_workspace(void *space) {
    workspace *own = space;
    bl_picture_free(&own->picture);
    bl_view_scratch_free(&own->scratch);
}

// All views of one sample, and its label with each. A scene is decoded once for all of them.
static int make_sample(const view_maker *maker, const bl_slot *slot, int i, workspace *own) {
    const size_t floats = 3 * (size_t)maker->out * maker->out;
    const uint32_t sample = slot->samples[i];
    const uint64_t seed = bl_random_seed_again(maker->seed, slot->occurrences[i]);
    bl_picture *picture = &own->picture;
    if (bl_dataset_picture(maker->dataset, maker->split, sample, seed, slot->epoch, picture)) return BL_FAILED;
    for (int v = 0; v < maker->views; ++v) {
        const size_t row = (size_t)v * slot->count + i;
        if (bl_view_make(&maker->recipes[v], seed, sample, slot->epoch, (uint32_t)v, picture->pixels,
                         (bl_extent){picture->width, picture->height}, slot->images + row * floats, &own->scratch))
            return BL_FAILED;
        if (slot->labels) slot->labels[row] = (float)bl_dataset_label(maker->dataset, maker->split, sample);
    }
    return BL_OK;
}

static int make(const void *context, const bl_slot *slot, int first, int end, void *space) {
    for (int i = first; i < end; ++i)
        if (make_sample(context, slot, i, space)) return BL_FAILED;
    return BL_OK;
}

static int check_sizes(const bl_recipe *recipes, int views, int size) {
    for (int v = 0; v < views; ++v) {
        const int first = bl_recipe_size(&recipes[0], size), other = bl_recipe_size(&recipes[v], size);
        if (!other)
            return bl_fail("views: view %d is made from whole scenes and nothing makes them square: write random_resized_crop or "
                           "center_crop in it, or let all views be made from a square of the scene", v);
        if (other != first)
            return bl_fail("views: view 0 has %d pixels a side and view %d has %d: both must have the same size", first, v, other);
    }
    return BL_OK;
}

int bl_view_loader_create(bl_loader **loader, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views,
                          uint64_t seed, int threads, int slots) {
    const int size = bl_dataset_size(dataset);
    *loader = NULL;
    if (check_sizes(recipes, views, size)) return BL_FAILED;
    view_maker *context = bl_alloc(sizeof *context);
    if (!context) return BL_FAILED;
    *context = (view_maker){dataset, split, recipes, views, seed, bl_recipe_size(&recipes[0], size)};
    const bl_maker maker = {.context = context, .free = bl_free, .make = make, .workspace_bytes = sizeof(workspace),
                            .free_workspace = free_workspace, .available = bl_dataset_count(dataset, split),
                            .set = bl_split_name(split), .samples_a_task = bl_dataset_is_decoded(dataset) ? 1 : SAMPLES_A_TASK};
    return bl_loader_create(loader, &maker, threads, slots);
}
