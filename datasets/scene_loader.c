#include "datasets/scene_loader.h"

#include "base/memory.h"
#include "base/random.h"

typedef struct scene_maker {
    const bl_scenes *scenes;
    bl_scene_recipe recipe;
    uint64_t seed;
} scene_maker;

typedef struct workspace { // of a thread
    bl_scene scene;
    bl_scene_scratch scratch;
} workspace;

static void free_workspace(void *space) {
    workspace *own = space;
    bl_scene_free(&own->scene);
    bl_scene_scratch_free(&own->scratch);
}

static int make(const void *context, const bl_slot *slot, int first, int end, void *space) {
    const scene_maker *maker = context;
    const size_t area = (size_t)maker->recipe.width * maker->recipe.height;
    workspace *own = space;
    for (int i = first; i < end; ++i) {
        const uint32_t sample = slot->samples[i];
        const uint64_t seed = bl_random_seed_again(maker->seed, slot->occurrences[i]);
        float *labels = slot->labels ? slot->labels + area * (size_t)i : NULL;
        if (bl_scenes_read(maker->scenes, sample, &own->scene) ||
            bl_scene_view_make(&maker->recipe, seed, sample, slot->epoch, &own->scene, slot->images + 3 * area * (size_t)i, labels,
                               &own->scratch))
            return BL_FAILED;
    }
    return BL_OK;
}

int bl_scene_loader_create(bl_loader **loader, const bl_scenes *scenes, const bl_scene_recipe *recipe, uint64_t seed, int threads,
                           int slots) {
    *loader = NULL;
    if (bl_scene_recipe_check(recipe)) return BL_FAILED;
    scene_maker *context = bl_alloc(sizeof *context);
    if (!context) return BL_FAILED;
    *context = (scene_maker){scenes, *recipe, seed};
    const bl_maker maker = {.context = context, .free = bl_free, .make = make, .workspace_bytes = sizeof(workspace),
                            .free_workspace = free_workspace, .available = bl_scenes_count(scenes), .set = "the scenes",
                            .samples_a_task = 1};
    return bl_loader_create(loader, &maker, threads, slots);
}
