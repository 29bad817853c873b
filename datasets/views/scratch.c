#include "datasets/views/scratch.h"

#include "base/memory.h"

// Two blocks of three planes each.
static int reserve(float **one, float **other, size_t *capacity, size_t pixels) {
    if (pixels <= *capacity) return BL_OK;
    bl_free(*one);
    bl_free(*other);
    *capacity = 0;
    *one = bl_alloc(3 * pixels * sizeof **one);
    *other = bl_alloc(3 * pixels * sizeof **other);
    if (!*one || !*other) return BL_FAILED;
    *capacity = pixels;
    return BL_OK;
}

int bl_view_scratch_reserve_images(bl_view_scratch *scratch, size_t pixels) {
    return reserve(&scratch->image, &scratch->next, &scratch->image_capacity, pixels);
}

int bl_view_scratch_reserve_work(bl_view_scratch *scratch, size_t pixels) {
    return reserve(&scratch->work[0], &scratch->work[1], &scratch->work_capacity, pixels);
}

void bl_view_scratch_free(bl_view_scratch *scratch) {
    bl_free(scratch->image);
    bl_free(scratch->next);
    bl_free(scratch->work[0]);
    bl_free(scratch->work[1]);
    *scratch = (bl_view_scratch){0};
}
