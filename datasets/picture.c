#include "datasets/picture.h"

void bl_picture_free(bl_picture *picture) {
    bl_scene_free(&picture->scene);
    bl_free(picture->square);
    *picture = (bl_picture){0};
}
