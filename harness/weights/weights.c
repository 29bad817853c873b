// weights.c - what images named tensors were trained on, and whether ours are alike. See weights.h.

#include "weights/weights.h"

#include <math.h>
#include <string.h>

#include "base/contents.h" // bl_contents_find
#include "base/digest.h"
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

// ---- identity ----

void bl_weights_digest(const bl_weights *weights, char digest[65]) {
    bl_text sums = {0};
    for (int i = 0; i < weights->count; i++) {
        const bl_weight *weight = &weights->items[i];
        char values[65] = "";
        if (!weight->dtype) bl_digest_hex(weight->values, (size_t)bl_shape_count(&weight->shape) * sizeof *weight->values, values);
        bl_text_add(&sums, "%s ", weight->name);
        bl_shape_print(&sums, &weight->shape);
        bl_text_add(&sums, " %s\n", weight->dtype ? weight->dtype : values);
    }
    bl_digest_hex(sums.size ? sums.chars : "", sums.size, digest);
    bl_text_free(&sums);
}

int bl_weights_digest_of(const char *path, bool is_run, char digest[65]) {
    const char *what = is_run ? "encoder" : "weights";
    bl_stamp stamp;
    bl_weights weights = {0};
    if (bl_stamp_of(path, &stamp)) return BL_FAILED;
    if (bl_contents_find(&stamp, what, digest)) return BL_OK;
    const int status = is_run ? bl_weights_read_run(&weights, path) : bl_weights_read_safetensors(&weights, path);
    if (!status) {
        bl_weights_digest(&weights, digest);
        bl_contents_keep(path, &stamp, what, digest);
    }
    bl_weights_free(&weights);
    return status;
}
