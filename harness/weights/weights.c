// weights.c - what the images of named tensors must look like, and their way into a store. See weights.h.

#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
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
    if (!weights->known || !ours->known) return BL_OK;
    if (!are_close(weights->mean, ours->mean)) return refuse_triple(path, "mean", weights->mean, ours->mean);
    if (!are_close(weights->std, ours->std)) return refuse_triple(path, "std", weights->std, ours->std);
    if (weights->image_size != ours->image_size) return refuse_pixels(path, "size", weights->image_size, ours->image_size);
    if (weights->resize != ours->resize) return refuse_pixels(path, "resize (0: none)", weights->resize, ours->resize);
    return BL_OK;
}

// ---- names ----

static bool ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && !strcmp(text + length - tail, ending);
}

// What torchvision's state_dict has besides the encoder. `name` may still have its prefix.
static bool is_passed_over(const char *name) {
    if (ends_with(name, ".num_batches_tracked")) return true;
    const char *const classifier[] = {"fc.weight", "fc.bias"};
    for (int i = 0; i < 2; i++)
        if (ends_with(name, classifier[i]) && (strlen(name) == strlen(classifier[i]) || name[strlen(name) - strlen(classifier[i]) - 1] == '.'))
            return true;
    return false;
}

// Length of what all names that count begin with, up to a dot: "encoder." or "module.backbone.".
static size_t shared_prefix(const bl_weights *weights) {
    const char *first = NULL;
    size_t shared = 0;
    for (int i = 0; i < weights->count; i++) {
        const char *name = weights->items[i].name;
        if (is_passed_over(name)) continue;
        if (!first) shared = strlen(first = name);
        for (size_t k = 0; k < shared; k++)
            if (name[k] != first[k]) shared = k;
    }
    while (shared && first[shared - 1] != '.') shared--;
    return shared;
}

// Without the prefix; NULL where the tensor is passed over.
static const char *inner_name(const bl_weight *weight, size_t prefix) {
    return is_passed_over(weight->name) ? NULL : weight->name + prefix;
}

static const bl_weight *find(const bl_weights *weights, size_t prefix, const char *name) {
    for (int i = 0; i < weights->count; i++) {
        const char *inner = inner_name(&weights->items[i], prefix);
        if (inner && !strcmp(inner, name)) return &weights->items[i];
    }
    return NULL;
}

// ---- identity ----

void bl_weights_digest(const bl_weights *weights, char digest[65]) {
    const size_t prefix = shared_prefix(weights);
    bl_text sums = {0};
    for (int i = 0; i < weights->count; i++) {
        const bl_weight *weight = &weights->items[i];
        const char *inner = inner_name(weight, prefix);
        char values[65];
        if (!inner) continue;
        bl_digest_hex(weight->values, (size_t)bl_shape_count(&weight->shape) * sizeof *weight->values, values);
        bl_text_add(&sums, "%s ", inner);
        bl_shape_print(&sums, &weight->shape);
        bl_text_add(&sums, " %s\n", values);
    }
    bl_digest_hex(sums.chars, sums.size, digest);
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

// ---- into a store ----

static bool is_encoders(const char *segment) { return strncmp(segment, "projector.", 10) != 0; }

// OHWI, as a store has a convolution, as OIHW, as files have it.
static bl_shape exchanged_shape(const bl_shape *s) {
    if (s->rank != 4) return *s;
    return (bl_shape){4, {s->dims[0], s->dims[3], s->dims[1], s->dims[2]}};
}

static int refuse_shape(const bl_weights *weights, const bl_weight *weight, const bl_shape *expected) {
    bl_text text = {0};
    bl_text_add(&text, "%s is ", weight->name);
    bl_shape_print(&text, &weight->shape);
    bl_text_add(&text, ", the experiment's network has ");
    bl_shape_print(&text, expected);
    const int status =
            bl_fail("%s: %s: write the `network` (encoder, stem, width) that these weights were trained in", weights->path, text.chars);
    bl_text_free(&text);
    return status;
}

static int refuse_left_over(const char *path, const char *name) {
    return bl_fail("%s: %s is left over: the experiment's encoder has no such tensor (export writes an encoder alone with --what encoder)",
                   path, name);
}

static int check_segment(const bl_weights *weights, size_t prefix, const bl_segment *segment) {
    const bl_weight *weight = find(weights, prefix, segment->name);
    const bl_shape shape = exchanged_shape(&segment->shape);
    if (!weight)
        return bl_fail("%s: %s is missing: write the `network` (encoder, stem) that these weights were trained in", weights->path,
                       segment->name);
    if (!bl_shape_equal(&weight->shape, &shape)) return refuse_shape(weights, weight, &shape);
    const int64_t count = bl_shape_count(&shape);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(weight->values[i])) return bl_fail("%s: %s holds a value that is not finite", weights->path, weight->name);
    return BL_OK;
}

int bl_weights_check_encoder(const bl_weights *weights, const bl_layout *layout, const char *network) {
    const int n = bl_layout_find_network(layout, network);
    const size_t prefix = shared_prefix(weights);
    if (n < 0) return bl_fail("there is no network '%s' to load weights into", network);
    const bl_network *into = &layout->networks[n];
    // Before anything is missing: "encoder.conv1.weight" beside "projector.0.weight" is a file of everything.
    for (int i = 0; i < weights->count; i++) {
        const char *inner = inner_name(&weights->items[i], prefix);
        if (inner && !is_encoders(inner)) return refuse_left_over(weights->path, weights->items[i].name);
    }
    for (int k = 0; k < 2; k++) {
        const bl_segments *segments = bl_network_segments(into, k ? BL_BUFFERS : BL_PARAMETERS);
        for (int s = 0; s < segments->count; s++)
            if (is_encoders(segments->items[s].name) && check_segment(weights, prefix, &segments->items[s])) return BL_FAILED;
    }
    for (int i = 0; i < weights->count; i++) {
        const char *inner = inner_name(&weights->items[i], prefix);
        if (inner && bl_segments_find(&into->parameters, inner) < 0 && bl_segments_find(&into->buffers, inner) < 0)
            return refuse_left_over(weights->path, weights->items[i].name);
    }
    return BL_OK;
}

// Checked before.
static int apply_segment(const bl_weights *weights, size_t prefix, bl_store *store, bl_place place, const bl_segment *segment) {
    const bl_weight *weight = find(weights, prefix, segment->name);
    const bl_shape *shape = &weight->shape;
    const int64_t count = bl_shape_count(shape);
    double *values = bl_alloc((size_t)count * sizeof *values);
    if (!values) return BL_FAILED;
    if (shape->rank == 4) {
        const int64_t in = shape->dims[1], area = shape->dims[2] * shape->dims[3];
        for (int64_t o = 0; o < shape->dims[0]; o++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t p = 0; p < area; p++) values[(o * area + p) * in + i] = weight->values[(o * in + i) * area + p];
    } else {
        for (int64_t i = 0; i < count; i++) values[i] = weight->values[i];
    }
    const int status = bl_store_write(store, place, values);
    bl_free(values);
    return status;
}

int bl_weights_apply_encoder(const bl_weights *weights, bl_store *store, const char *network) {
    if (bl_weights_check_encoder(weights, store->layout, network)) return BL_FAILED;
    const int n = bl_layout_find_network(store->layout, network);
    const size_t prefix = shared_prefix(weights);
    for (int k = 0; k < 2; k++) {
        const bl_block_kind kind = k ? BL_BUFFERS : BL_PARAMETERS;
        const bl_segments *segments = bl_network_segments(&store->layout->networks[n], kind);
        for (int s = 0; s < segments->count; s++)
            if (is_encoders(segments->items[s].name) && apply_segment(weights, prefix, store, (bl_place){n, kind, s}, &segments->items[s]))
                return BL_FAILED;
    }
    return BL_OK;
}
