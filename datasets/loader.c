#include "datasets/loader.h"

#include "base/memory.h"
#include "base/random.h"
#include "datasets/slots.h"

enum { SAMPLES_A_TASK = 8 }; // long enough (about 20 us a view of 32 pixels) that handing out tasks costs nothing

struct bl_loader {
    const bl_dataset *dataset;
    bl_split split;
    const bl_recipe *recipes;
    int views;
    uint64_t seed;
    int out; // pixels a side of every view
    bl_view_scratch *scratch;
    int scratch_count;
    bl_slots *slots;
};

static int fill(void *context, const bl_slot *slot, int first, int end, void *scratch) {
    const bl_loader *loader = context;
    const size_t floats = 3 * (size_t)loader->out * loader->out;
    const int size = bl_dataset_size(loader->dataset);
    int status = BL_OK;
    for (int v = 0; v < loader->views && !status; ++v)
        for (int i = first; i < end && !status; ++i)
            status = bl_view_make(&loader->recipes[v], loader->seed, slot->samples[i], slot->epoch, (uint32_t)v,
                                  bl_dataset_image(loader->dataset, loader->split, slot->samples[i]), size,
                                  slot->images + ((size_t)v * slot->count + i) * floats, scratch);
    return status;
}

int bl_loader_create(bl_loader **out, const bl_dataset *dataset, bl_split split, const bl_recipe *recipes, int views, uint64_t seed,
                     int threads, int slots) {
    *out = NULL;
    int size = bl_dataset_size(dataset), view_size = bl_recipe_size(&recipes[0], size);
    for (int v = 1; v < views; ++v)
        if (bl_recipe_size(&recipes[v], size) != view_size)
            return bl_fail("views: view 0 has %d pixels a side and view %d has %d: both must have the same size", view_size, v,
                           bl_recipe_size(&recipes[v], size));
    bl_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) return BL_FAILED;
    *loader = (bl_loader){.dataset = dataset, .split = split, .recipes = recipes, .views = views, .seed = seed, .out = view_size,
                          .scratch_count = threads};
    loader->scratch = bl_alloc((size_t)threads * sizeof *loader->scratch);
    const bl_slots_options options = {.threads = threads, .slots = slots, .samples_a_task = SAMPLES_A_TASK, .fill = fill,
                                      .context = loader, .workspaces = loader->scratch, .workspace_bytes = sizeof *loader->scratch,
                                      .set = bl_split_name(split)};
    if (!loader->scratch || bl_slots_create(&loader->slots, &options)) {
        bl_loader_free(loader);
        return BL_FAILED;
    }
    *out = loader;
    return BL_OK;
}

void bl_loader_free(bl_loader *loader) {
    if (!loader) return;
    bl_slots_free(loader->slots); // before what its threads work in
    for (int i = 0; loader->scratch && i < loader->scratch_count; ++i) bl_view_scratch_free(&loader->scratch[i]);
    bl_free(loader->scratch);
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
