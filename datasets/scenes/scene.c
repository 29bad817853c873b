#include "datasets/scenes/scene.h"

// Names, ids and colours as in Cityscapes' own table of labels.
const bl_scene_class bl_scene_classes[BL_SCENE_CLASSES] = {
    {"road", 7, {128, 64, 128}},           {"sidewalk", 8, {244, 35, 232}},   {"building", 11, {70, 70, 70}},
    {"wall", 12, {102, 102, 156}},         {"fence", 13, {190, 153, 153}},    {"pole", 17, {153, 153, 153}},
    {"traffic light", 19, {250, 170, 30}}, {"traffic sign", 20, {220, 220, 0}}, {"vegetation", 21, {107, 142, 35}},
    {"terrain", 22, {152, 251, 152}},      {"sky", 23, {70, 130, 180}},       {"person", 24, {220, 20, 60}},
    {"rider", 25, {255, 0, 0}},            {"car", 26, {0, 0, 142}},          {"truck", 27, {0, 0, 70}},
    {"bus", 28, {0, 60, 100}},             {"train", 31, {0, 80, 100}},       {"motorcycle", 32, {0, 0, 230}},
    {"bicycle", 33, {119, 11, 32}},
};

const char *bl_scene_split_name(bl_scene_split split) {
    static const char *const names[BL_SCENE_SPLITS] = {"train", "val", "test", "train_extra"};
    return names[split];
}

int bl_scene_reserve(bl_scene *scene, int width, int height, bool labelled) {
    size_t area = (size_t)width * height, bytes = (labelled ? 4 : 3) * area;
    if (bytes > scene->capacity) {
        bl_scene_free(scene);
        if (!(scene->pixels = bl_alloc(bytes))) return BL_FAILED;
        scene->capacity = bytes;
    }
    scene->width = width;
    scene->height = height;
    scene->labels = labelled ? scene->pixels + 3 * area : NULL;
    return BL_OK;
}

void bl_scene_free(bl_scene *scene) {
    bl_free(scene->pixels);
    *scene = (bl_scene){0};
}

int bl_scene_index_add(bl_scene_index *index, const bl_scene_entry *entry) {
    if (bl_grow((void **)&index->entries, index->count, &index->capacity, sizeof *entry)) return BL_FAILED;
    index->entries[index->count++] = *entry;
    return BL_OK;
}
