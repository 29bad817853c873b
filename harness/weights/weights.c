// weights.c - what images named tensors were trained on, and whether ours are alike. See weights.h.

#include "weights/weights.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

void bl_weights_free(bl_weights *weights) {
    if (weights->arena) bl_arena_free(weights->arena);
    bl_free(weights->data);
    *weights = (bl_weights){0};
}

// ---- preprocessing ----

bl_preprocessing bl_preprocessing_of(const bl_recipe *evaluation_view, int image_size) {
    bl_preprocessing found = {.known = true, .std = {1, 1, 1}, .image_size = image_size};
    for (int i = 0; i < evaluation_view->count; i++) {
        const bl_transform *transform = &evaluation_view->items[i];
        if (transform->kind == BL_CENTER_CROP) found.resize = transform->resize;
        if (transform->kind != BL_NORMALIZE) continue;
        memcpy(found.mean, transform->mean, sizeof found.mean);
        memcpy(found.std, transform->std, sizeof found.std);
    }
    return found;
}

static bool are_close(const double a[3], const double b[3]) { // a file written from f32 says 0.48500001
    for (int c = 0; c < 3; c++)
        if (!(fabs(a[c] - b[c]) < 1e-6)) return false;
    return true;
}

#define ADVICE "prepare them alike, or write `preprocessing: keep` beside its path (import: --keep-preprocessing)"

static int refuse_triple(const char *path, const char *what, const double theirs[3], const double ours[3]) {
    return bl_fail("%s: its weights saw images of %s %g %g %g, the experiment's have %g %g %g: " ADVICE, path, what, theirs[0], theirs[1],
                   theirs[2], ours[0], ours[1], ours[2]);
}

static int refuse_pixels(const char *path, const char *what, int theirs, int ours) {
    return bl_fail("%s: its weights saw images of %s %d, the experiment's have %d: " ADVICE, path, what, theirs, ours);
}

int bl_preprocessing_check(const char *path, const bl_preprocessing *weights, const bl_preprocessing *ours) {
    if (!ours->known) return BL_OK;
    if (weights->known && !are_close(weights->mean, ours->mean)) return refuse_triple(path, "mean", weights->mean, ours->mean);
    if (weights->known && !are_close(weights->std, ours->std)) return refuse_triple(path, "std", weights->std, ours->std);
    if (!weights->image_size) return BL_OK;
    if (weights->image_size != ours->image_size) return refuse_pixels(path, "size", weights->image_size, ours->image_size);
    if (weights->resize != ours->resize) return refuse_pixels(path, "resize (0: none)", weights->resize, ours->resize);
    return BL_OK;
}
