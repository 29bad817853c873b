#include "datasets/labels.h"

#include <inttypes.h>
#include <math.h>

#include "base/memory.h" // bl_alloc
#include "base/random.h" // bl_random_stream

enum { NOT_LABELLED, FITTED, HELD_OUT }; // what is decided about an image

static int check_parts(double share, double held_out) {
    if (!(share > 0 && share <= 100)) return bl_fail("labels: a share of %g %%; write more than 0 and at most 100", share);
    if (!(held_out >= 0 && held_out < 1)) return bl_fail("labels: %g held out; write a part from 0 to below 1", held_out);
    return BL_OK;
}

static int check_labels(const uint8_t *labels, int64_t count, int classes) {
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

int64_t bl_labels_count_held_out(int64_t labelled, double held_out) {
    const int64_t held = llround(held_out * (double)labelled);
    return held_out > 0 && held < 1 ? 1 : held;
}

// Decides about one class. `members` are its images in ascending order, `order` is room for as many.
static int decide_class(int class, const uint32_t *members, uint32_t count, double share, double held_out, uint64_t seed, uint32_t *order,
                        uint8_t *decided) {
    const int64_t labelled = llround(share * count / 100);
    const int64_t held = bl_labels_count_held_out(labelled, held_out);
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
    *part_count = 0;
    for (int64_t i = 0; i < count; i++) *part_count += kinds >> decided[i] & 1;
    if (!(*part = bl_alloc((size_t)*part_count * sizeof **part))) return BL_FAILED;
    for (int64_t i = 0, next = 0; i < count; i++)
        if (kinds >> decided[i] & 1) (*part)[next++] = (uint32_t)i;
    return BL_OK;
}

static int gather_all(bl_labelled *chosen, const uint8_t *decided, int64_t count) {
    return gather(decided, count, 1u << FITTED, &chosen->fitted, &chosen->fitted_count) ||
                   gather(decided, count, 1u << HELD_OUT, &chosen->held_out, &chosen->held_out_count) ||
                   gather(decided, count, 1u << FITTED | 1u << HELD_OUT, &chosen->all, &chosen->count)
               ? BL_FAILED
               : BL_OK;
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
    if (!decided || !members || !order || check_parts(share, held_out) || check_labels(labels, count, classes) ||
        check_classes(labels, count, classes, share))
        goto done;
    for (int class = 0; class < classes; class++) {
        uint32_t size = 0;
        for (int64_t i = 0; i < count; i++)
            if (labels[i] == class) members[size++] = (uint32_t)i;
        if (decide_class(class, members, size, share, held_out, seed, order, decided)) goto done;
    }
    status = gather_all(chosen, decided, count);
done:
    bl_free(decided);
    bl_free(members);
    bl_free(order);
    if (status) bl_labelled_free(chosen);
    return status;
}

int64_t bl_labels_count_scenes(int64_t count, double share, bool listed) {
    const int64_t rounded = llround(share * (double)count / 100);
    return listed ? (int64_t)((double)count * share) / 100 : rounded < 1 ? 1 : rounded;
}

int bl_labels_choose_scenes(bl_labelled *chosen, int64_t count, double share, bool listed, double held_out, uint64_t seed) {
    *chosen = (bl_labelled){0};
    if (check_parts(share, held_out)) return BL_FAILED;
    const int64_t labelled = bl_labels_count_scenes(count, share, listed);
    const int64_t held = bl_labels_count_held_out(labelled, held_out);
    if (labelled < 1)
        return bl_fail("labels: %g %% of the first %" PRId64 " scenes is less than one; write a share of at least %g", share, count,
                       ceil(1000 / (double)count) / 10);
    if (held >= labelled)
        return bl_fail("labels: %g %% is %" PRId64 " of the %" PRId64 " scenes; with %" PRId64 " held out none is left to fit: write a "
                       "larger share or a smaller validation",
                       share, labelled, count, held);
    const int64_t ordered = listed ? labelled : count;
    int status = BL_FAILED;
    uint8_t *decided = bl_alloc((size_t)count);
    uint32_t *order = bl_alloc((size_t)ordered * sizeof *order);
    if (!decided || !order) goto done;
    bl_random random = bl_random_stream(seed, "scenes", 0, 0, 0);
    bl_random_permutation(&random, order, (uint32_t)ordered);
    for (int64_t i = 0; i < labelled; i++) decided[order[i]] = i < labelled - held ? FITTED : HELD_OUT;
    status = gather_all(chosen, decided, count);
done:
    bl_free(decided);
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
