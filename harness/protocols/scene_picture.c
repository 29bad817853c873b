#include "protocols/scene_picture.h"

#include <stdio.h>

// First source pixel of a small one; that of the next is the first behind its box.
static int64_t box_begin(int64_t i, int small, int large) { return i * large / small; }

static uint8_t box_mean(const bl_scene *scene, const bl_scene_picture *p, int x, int y, int channel) {
    const int64_t left = box_begin(x, p->width, scene->width), right = box_begin(x + 1, p->width, scene->width);
    const int64_t top = box_begin(y, p->height, scene->height), bottom = box_begin(y + 1, p->height, scene->height);
    const int64_t pixels = (right - left) * (bottom - top);
    int64_t sum = 0;
    for (int64_t row = top; row < bottom; row++)
        for (int64_t column = left; column < right; column++) sum += scene->pixels[(row * scene->width + column) * 3 + channel];
    return (uint8_t)((sum + pixels / 2) / pixels);
}

static void reduce(bl_scene_picture *p, const bl_scene *scene, const uint8_t *predicted) {
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const int64_t at = (int64_t)y * p->width + x;
            const int64_t row = (2 * (int64_t)y + 1) * scene->height / (2 * p->height);
            const int64_t nearest = row * scene->width + (2 * (int64_t)x + 1) * scene->width / (2 * p->width);
            for (int c = 0; c < 3; c++) p->image[at * 3 + c] = box_mean(scene, p, x, y, c);
            p->truth[at] = scene->labels[nearest];
            p->prediction[at] = predicted[nearest];
        }
}

int bl_scene_picture_make(bl_scene_picture *picture, const bl_scenes *scenes, int64_t index, const uint8_t *predicted) {
    bl_scene scene = {0};
    int status = BL_FAILED;
    *picture = (bl_scene_picture){0};
    snprintf(picture->scene, sizeof picture->scene, "%s", bl_scenes_name(scenes, index));
    if (bl_scenes_read(scenes, index, &scene)) goto done;
    picture->width = scene.width < BL_SCENE_PICTURE_WIDTH ? scene.width : BL_SCENE_PICTURE_WIDTH;
    picture->height = (int)((int64_t)scene.height * picture->width / scene.width);
    if (picture->height < 1) picture->height = 1;
    const size_t area = (size_t)picture->width * picture->height;
    if (!(picture->image = bl_alloc(3 * area)) || !(picture->truth = bl_alloc(area)) || !(picture->prediction = bl_alloc(area))) goto done;
    reduce(picture, &scene, predicted);
    status = BL_OK;
done:
    bl_scene_free(&scene);
    if (status) bl_scene_picture_free(picture);
    return status;
}
