#include "datasets/scene_loader.h"

#include "base/memory.h"
#include "datasets/slots.h"

typedef struct workspace { // of a thread
    bl_scene scene;
    bl_scene_scratch scratch;
} workspace;

struct bl_scene_loader {
    const bl_scenes *scenes;
    bl_scene_recipe recipe;
    uint64_t seed;
    workspace *spaces;
    int space_count;
    bl_slots *slots;
};

static int fill(void *context, const bl_slot *slot, int first, int end, void *space) {
    const bl_scene_loader *loader = context;
    const bl_scene_recipe *recipe = &loader->recipe;
    const size_t area = (size_t)recipe->width * recipe->height;
    workspace *own = space;
    int status = BL_OK;
    for (int i = first; i < end && !status; ++i) {
        float *labels = slot->labels ? slot->labels + area * (size_t)i : NULL;
        status = bl_scenes_read(loader->scenes, slot->samples[i], &own->scene);
        if (!status)
            status = bl_scene_view_make(recipe, loader->seed, slot->samples[i], slot->epoch, &own->scene,
                                        slot->images + 3 * area * (size_t)i, labels, &own->scratch);
    }
    return status;
}

int bl_scene_loader_create(bl_scene_loader **out, const bl_scenes *scenes, const bl_scene_recipe *recipe, uint64_t seed, int threads,
                           int slots) {
    *out = NULL;
    if (bl_scene_recipe_check(recipe)) return BL_FAILED;
    bl_scene_loader *loader = bl_alloc(sizeof *loader);
    if (!loader) return BL_FAILED;
    *loader = (bl_scene_loader){.scenes = scenes, .recipe = *recipe, .seed = seed, .space_count = threads};
    loader->spaces = bl_alloc((size_t)threads * sizeof *loader->spaces);
    const bl_slots_options options = {.threads = threads, .slots = slots, .samples_a_task = 1, .fill = fill, .context = loader,
                                      .workspaces = loader->spaces, .workspace_bytes = sizeof *loader->spaces, .set = "the scenes"};
    if (!loader->spaces || bl_slots_create(&loader->slots, &options)) {
        bl_scene_loader_free(loader);
        return BL_FAILED;
    }
    *out = loader;
    return BL_OK;
}

void bl_scene_loader_free(bl_scene_loader *loader) {
    if (!loader) return;
    bl_slots_free(loader->slots); // before what its threads work in
    for (int i = 0; loader->spaces && i < loader->space_count; ++i) {
        bl_scene_free(&loader->spaces[i].scene);
        bl_scene_scratch_free(&loader->spaces[i].scratch);
    }
    bl_free(loader->spaces);
    bl_free(loader);
}

int bl_scene_loader_submit(bl_scene_loader *loader, int slot, const uint32_t *samples, int count, uint32_t epoch, float *images,
                           float *labels) {
    const bl_slot wanted = {.samples = samples, .count = count, .epoch = epoch, .images = images, .labels = labels};
    return bl_slots_submit(loader->slots, slot, &wanted, bl_scenes_count(loader->scenes));
}

int bl_scene_loader_wait(bl_scene_loader *loader, int slot) {
    return bl_slots_wait(loader->slots, slot);
}
