#include "datasets/loader.h"

#include "base/memory.h"
#include "base/random.h"
#include "datasets/slots.h"

enum { SAMPLES_A_TASK = 8 }; // long enough (about 20 us a view of 32 pixels) that handing out tasks costs nothing; of scenes one is

typedef struct workspace { // of a thread
    bl_picture picture;
    bl_view_scratch scratch;
} workspace;

struct bl_loader {
    const bl_dataset *dataset;
    bl_split split;
    const bl_recipe *recipes;
    int views;
    uint64_t seed;
    int out; // pixels a side of every view
    workspace *spaces;
    int space_count;
    bl_slots *slots;
};

// A scene is decoded once for all its views.
static int fill(void *context, const bl_slot *slot, int first, int end, void *space) {
    const bl_loader *loader = context;
    const size_t floats = 3 * (size_t)loader->out * loader->out;
    workspace *own = space;
    bl_picture *picture = &own->picture;
    int status = BL_OK;
    for (int i = first; i < end && !status; ++i) {
        const uint32_t sample = slot->samples[i];
        status = bl_dataset_picture(loader->dataset, loader->split, sample, loader->seed, slot->epoch, picture);
        for (int v = 0; v < loader->views && !status; ++v)
            status = bl_view_make(&loader->recipes[v], loader->seed, sample, slot->epoch, (uint32_t)v, picture->pixels,
                                  (bl_extent){picture->width, picture->height},
                                  slot->images + ((size_t)v * slot->count + i) * floats, &own->scratch);
    }
    return status;
}

int bl_loader_create(bl_loader **out, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views, uint64_t seed,
                     int threads, int slots) {
    *out = NULL;
    const int size = bl_dataset_size(dataset), view_size = bl_recipe_size(&recipes[0], size);
    for (int v = 0; v < views; ++v) {
        const int other = bl_recipe_size(&recipes[v], size);
        if (!other)
            return bl_fail("views: view %d is made from whole scenes and nothing makes them square: write random_resized_crop or "
                           "center_crop in it, or `crop: 512` below `data:`", v);
        if (other != view_size)
            return bl_fail("views: view 0 has %d pixels a side and view %d has %d: both must have the same size", view_size, v, other);
    }
    bl_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) return BL_FAILED;
    *loader = (bl_loader){.dataset = dataset, .split = split, .recipes = recipes, .views = views, .seed = seed, .out = view_size,
                          .space_count = threads};
    loader->spaces = bl_alloc((size_t)threads * sizeof *loader->spaces);
    const bl_slots_options options = {.threads = threads, .slots = slots, .samples_a_task = bl_dataset_is_decoded(dataset) ? 1 : SAMPLES_A_TASK,
                                      .fill = fill, .context = loader, .workspaces = loader->spaces,
                                      .workspace_bytes = sizeof *loader->spaces, .set = bl_split_name(split)};
    if (!loader->spaces || bl_slots_create(&loader->slots, &options)) {
        bl_loader_free(loader);
        return BL_FAILED;
    }
    *out = loader;
    return BL_OK;
}

void bl_loader_free(bl_loader *loader) {
    if (!loader) return;
    bl_slots_free(loader->slots); // before what its threads work in
    for (int i = 0; loader->spaces && i < loader->space_count; ++i) {
        bl_picture_free(&loader->spaces[i].picture);
        bl_view_scratch_free(&loader->spaces[i].scratch);
    }
    bl_free(loader->spaces);
    bl_free(loader);
}

int bl_loader_submit(bl_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *dst) {
    const bl_slot wanted = {.samples = samples, .count = count, .epoch = epoch, .images = dst};
    return bl_slots_submit(loader->slots, slot, &wanted, bl_dataset_count(loader->dataset, loader->split));
}

int bl_loader_wait(bl_loader *loader, int slot) {
    return bl_slots_wait(loader->slots, slot);
}

void bl_epoch_order(uint64_t seed, uint32_t epoch, bool shuffle, uint32_t *order, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) order[i] = i;
    if (!shuffle) return;
    bl_random random = bl_random_stream(seed, "order", 0, epoch, 0);
    bl_random_permutation(&random, order, count);
}
