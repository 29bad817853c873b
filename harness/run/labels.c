#include "run/labels.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h" // bl_alloc
#include "base/random.h" // bl_random_stream

enum { NOT_LABELLED, FITTED, HELD_OUT }; // what is decided about an image

static int check(const uint8_t *labels, int64_t count, int classes, double share, double held_out) {
    if (!(share > 0 && share <= 100)) return bl_fail("labels: a share of %g %%; write more than 0 and at most 100", share);
    if (!(held_out >= 0 && held_out < 1)) return bl_fail("labels: %g held out; write a part from 0 to below 1", held_out);
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= classes) return bl_fail("labels: label %d of image %" PRId64 " is not below %d", labels[i], i, classes);
    return BL_OK;
}

// One labelled image a class is the least.
static int check_classes(const uint8_t *labels, int64_t count, int classes, double share) {
    int64_t of_class[256] = {0};
    int smallest = 0;
    for (int64_t i = 0; i < count; i++) of_class[labels[i]]++;
    for (int c = 1; c < classes; c++)
        if (of_class[c] < of_class[smallest]) smallest = c;
    const int64_t images = of_class[smallest];
    if (!images) return bl_fail("labels: class %d has no image to label", smallest);
    if (llround(share * (double)images / 100) >= 1) return BL_OK;
    return bl_fail("labels: %g %% of the %" PRId64 " images of class %d is less than one; write a share of at least %g", share, images,
                   smallest, ceil(500 / (double)images) / 10);
}

// Decides about one class. `members` are its images in ascending order, `order` is room for as many.
static int decide_class(int class, const uint32_t *members, uint32_t count, double share, double held_out, uint64_t seed, uint32_t *order,
                        uint8_t *decided) {
    const int64_t labelled = llround(share * count / 100);
    int64_t held = llround(held_out * (double)labelled);
    if (held_out > 0 && held < 1) held = 1;
    if (held >= labelled)
        return bl_fail("labels: %g %% gives class %d %" PRId64 " of its images; with %" PRId64 " held out none is left to fit: write a "
                       "larger share or a smaller validation",
                       share, class, labelled, held);
    bl_random random = bl_random_stream(seed, "labels", (uint32_t)class, 0, 0);
    bl_random_permutation(&random, order, count);
    for (int64_t i = 0; i < labelled; i++) decided[members[order[i]]] = i < labelled - held ? FITTED : HELD_OUT;
    return BL_OK;
}

// Room for a part and its images, in ascending order.
static int gather(const uint8_t *decided, int64_t count, unsigned kinds, uint32_t **part, int64_t *part_count) {
    for (int64_t i = 0; i < count; i++) *part_count += kinds >> decided[i] & 1;
    if (!(*part = bl_alloc((size_t)*part_count * sizeof **part))) return BL_FAILED;
    for (int64_t i = 0, next = 0; i < count; i++)
        if (kinds >> decided[i] & 1) (*part)[next++] = (uint32_t)i;
    return BL_OK;
}

int bl_labels_read(const bl_dataset *dataset, bl_split split, uint8_t **labels) {
    const int64_t count = bl_dataset_count(dataset, split);
    if (!(*labels = bl_alloc((size_t)count))) return BL_FAILED;
    for (int64_t i = 0; i < count; i++) (*labels)[i] = (uint8_t)bl_dataset_label(dataset, split, i);
    return BL_OK;
}

int bl_labels_choose(bl_labelled *chosen, const uint8_t *labels, int64_t count, int classes, double share, double held_out, uint64_t seed) {
    *chosen = (bl_labelled){0};
    int status = BL_FAILED;
    uint8_t *decided = bl_alloc((size_t)count);
    uint32_t *members = bl_alloc((size_t)count * sizeof *members), *order = bl_alloc((size_t)count * sizeof *order);
    if (!decided || !members || !order || check(labels, count, classes, share, held_out) ||
        check_classes(labels, count, classes, share))
        goto done;
    for (int class = 0; class < classes; class++) {
        uint32_t size = 0;
        for (int64_t i = 0; i < count; i++)
            if (labels[i] == class) members[size++] = (uint32_t)i;
        if (decide_class(class, members, size, share, held_out, seed, order, decided)) goto done;
    }
    if (gather(decided, count, 1u << FITTED, &chosen->fitted, &chosen->fitted_count) ||
        gather(decided, count, 1u << HELD_OUT, &chosen->held_out, &chosen->held_out_count) ||
        gather(decided, count, 1u << FITTED | 1u << HELD_OUT, &chosen->all, &chosen->count))
        goto done;
    status = BL_OK;
done:
    bl_free(decided);
    bl_free(members);
    bl_free(order);
    if (status) bl_labelled_free(chosen);
    return status;
}

void bl_labelled_free(bl_labelled *chosen) {
    bl_free(chosen->fitted);
    bl_free(chosen->held_out);
    bl_free(chosen->all);
    *chosen = (bl_labelled){0};
}
