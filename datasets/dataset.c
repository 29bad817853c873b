#include "datasets/dataset.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/memory.h"
#include "base/random.h"
#include "datasets/facts.h"
#include "datasets/file_list.h"
#include "datasets/scene_sets.h"

struct bl_dataset {
    bl_images train, test;
    int64_t *order[BL_SPLITS]; // indices into train (BL_TRAIN, BL_VALIDATION) or test (BL_TEST)
    int64_t count[BL_SPLITS];
    bl_text files;             // of images
    bl_scene_sets *scenes;     // NULL: images
};

const char *bl_split_name(bl_split split) {
    static const char *const names[BL_SPLITS] = {"train", "validation", "test"};
    return names[split];
}

static int check_options(const bl_dataset_options *options) {
    const int counts[] = {options->train, options->test, options->validation, options->limit, options->crop};
    static const char *const names[] = {"train", "test", "validation", "limit", "crop"};
    for (int i = 0; i < 5; ++i)
        if (counts[i] < 0) return bl_fail("%s: %s %d is below 0", options->name, names[i], counts[i]);
    return BL_OK;
}

// How many images of each class go to validation: its share rounded down, and what is left over to the classes with the
// largest remainders, the first class where they are alike.
static void share_out(const int64_t *of_class, int classes, int64_t count, int64_t validation, int64_t *share) {
    bool topped_up[256] = {false};
    int64_t given = 0;
    for (int c = 0; c < classes; ++c) given += share[c] = of_class[c] * validation / count;
    for (; given < validation; ++given) {
        int best = -1;
        for (int c = 0; c < classes; ++c) {
            if (topped_up[c] || share[c] == of_class[c]) continue;
            if (best < 0 || of_class[c] * validation % count > of_class[best] * validation % count) best = c;
        }
        topped_up[best] = true;
        ++share[best];
    }
}

// Marks `validation` train images, class by class; each class has a stream of its own, so that a set that grows by another
// class keeps the choice within the others.
static int choose_validation(const bl_images *train, int64_t validation, uint64_t seed, bool *chosen) {
    int status = BL_FAILED;
    int64_t of_class[256] = {0}, share[256] = {0};
    for (int64_t i = 0; i < train->count; ++i) ++of_class[train->labels[i]];
    share_out(of_class, train->classes, train->count, validation, share);

    int64_t *members = bl_alloc((size_t)train->count * sizeof *members);
    uint32_t *order = bl_alloc((size_t)train->count * sizeof *order);
    if (!members || !order) goto done;
    for (int c = 0; c < train->classes; ++c) {
        int64_t count = 0;
        for (int64_t i = 0; i < train->count; ++i)
            if (train->labels[i] == c) members[count++] = i;
        bl_random random = bl_random_stream(seed, "validation", (uint32_t)c, 0, 0);
        bl_random_permutation(&random, order, (uint32_t)count);
        for (int64_t i = 0; i < share[c]; ++i) chosen[members[order[i]]] = true;
    }
    status = BL_OK;
done:
    bl_free(members);
    bl_free(order);
    return status;
}

static int make_splits(bl_dataset *dataset, const bl_dataset_options *options) {
    const bl_images *train = &dataset->train;
    if (options->validation > 0 && options->validation >= train->count)
        return bl_fail("%s: validation on %d of %" PRId64 " train images leaves none to train on", options->name, options->validation,
                       train->count);
    int status = BL_FAILED;
    bool *chosen = bl_alloc((size_t)train->count * sizeof *chosen);
    if (!chosen) return BL_FAILED;
    for (int s = 0; s < BL_SPLITS; ++s) {
        int64_t most = s == BL_TEST ? dataset->test.count : train->count;
        if (!(dataset->order[s] = bl_alloc((size_t)most * sizeof **dataset->order))) goto done;
    }
    if (options->validation > 0 && choose_validation(train, options->validation, options->split_seed, chosen)) goto done;
    for (int64_t i = 0; i < train->count; ++i) {
        bl_split split = chosen[i] ? BL_VALIDATION : BL_TRAIN;
        if (split == BL_TRAIN && options->limit > 0 && dataset->count[BL_TRAIN] == options->limit) continue;
        dataset->order[split][dataset->count[split]++] = i;
    }
    for (int64_t i = 0; i < dataset->test.count; ++i) dataset->order[BL_TEST][i] = i;
    dataset->count[BL_TEST] = dataset->test.count;
    status = BL_OK;
done:
    bl_free(chosen);
    return status;
}

// The set of scenes that a split is; SCENE_ROLES: none.
static bl_scene_role role_of(bl_split split) {
    return split == BL_TRAIN ? BL_UNLABELLED : split == BL_TEST ? BL_SCORED : BL_SCENE_ROLES;
}

static int open_scenes(bl_dataset *dataset, const bl_scene_format *format, const bl_dataset_options *options) {
    const bl_scene_sets_options wanted = {.format = format, .root = options->root, .splits = options->scene_splits,
                                          .labelled = options->labelled, .crop = options->crop, .seed = options->seed,
                                          .train = options->train, .extra = options->extra, .test = options->test, .width = options->width,
                                          .height = options->height};
    if (!(dataset->scenes = bl_alloc(sizeof *dataset->scenes)) || bl_scene_sets_open(dataset->scenes, &wanted)) return BL_FAILED;
    for (int s = 0; s < BL_SPLITS; ++s) {
        const bl_scene_role role = role_of((bl_split)s);
        const bl_scenes *scenes = role < BL_SCENE_ROLES ? dataset->scenes->of[role] : NULL;
        dataset->count[s] = scenes ? bl_scenes_count(scenes) : 0;
    }
    return BL_OK;
}

static int open_images(bl_dataset *dataset, bl_images_load *load, const bl_dataset_options *options) {
    const bl_images_options wanted = {options->root, options->seed, options->train, options->test};
    if (load(&wanted, &dataset->train, &dataset->test) || make_splits(dataset, options)) return BL_FAILED;
    const bl_text *files[2] = {&dataset->train.files, &dataset->test.files};
    for (int i = 0; i < 2; ++i) bl_text_add(&dataset->files, "%s", files[i]->size ? files[i]->chars : "");
    return BL_OK;
}

static int refuse_name(const char *name) {
    bl_text known = {0};
    for (int i = 0; bl_dataset_facts_at(i); ++i) bl_text_add(&known, "%s%s", i ? ", " : "", bl_dataset_facts_at(i)->name);
    const int status = bl_fail("no data set is called '%s'; there are %s", name, known.chars);
    bl_text_free(&known);
    return status;
}

int bl_dataset_open(bl_dataset **out, const bl_dataset_options *options) {
    *out = NULL;
    const bl_dataset_facts *facts = bl_dataset_facts_of(options->name);
    if (!facts) return refuse_name(options->name);
    if (check_options(options)) return BL_FAILED;
    bl_dataset *dataset = bl_alloc(sizeof *dataset);
    if (!dataset) return BL_FAILED;
    if (facts->scenes ? open_scenes(dataset, facts->scenes, options) : open_images(dataset, facts->load, options)) {
        bl_dataset_close(dataset);
        return BL_FAILED;
    }
    *out = dataset;
    return BL_OK;
}

static void free_images(bl_images *images) {
    bl_free(images->pixels);
    bl_free(images->labels);
    bl_text_free(&images->files);
    bl_text_free(&images->remarks);
}

void bl_dataset_close(bl_dataset *dataset) {
    if (!dataset) return;
    for (int s = 0; s < BL_SPLITS; ++s) bl_free(dataset->order[s]);
    if (dataset->scenes) bl_scene_sets_close(dataset->scenes);
    bl_free(dataset->scenes);
    free_images(&dataset->train);
    free_images(&dataset->test);
    bl_text_free(&dataset->files);
    bl_free(dataset);
}

static const bl_images *images_of(const bl_dataset *dataset, bl_split split) {
    return split == BL_TEST ? &dataset->test : &dataset->train;
}

static size_t image_bytes(const bl_dataset *dataset) {
    return (size_t)dataset->train.size * (size_t)dataset->train.size * 3;
}

int bl_dataset_classes(const bl_dataset *dataset) { return dataset->scenes ? BL_SCENE_CLASSES : dataset->train.classes; }
int bl_dataset_size(const bl_dataset *dataset) { return dataset->scenes ? dataset->scenes->crop : dataset->train.size; }
bool bl_dataset_is_decoded(const bl_dataset *dataset) { return dataset->scenes != NULL; }
int64_t bl_dataset_count(const bl_dataset *dataset, bl_split split) { return dataset->count[split]; }

const uint8_t *bl_dataset_image(const bl_dataset *dataset, bl_split split, int64_t index) {
    return images_of(dataset, split)->pixels + (size_t)dataset->order[split][index] * image_bytes(dataset);
}

int bl_dataset_label(const bl_dataset *dataset, bl_split split, int64_t index) {
    return images_of(dataset, split)->labels[dataset->order[split][index]];
}

int bl_dataset_picture(const bl_dataset *dataset, bl_split split, uint32_t index, uint64_t seed, uint32_t epoch, bl_picture *picture) {
    if (dataset->scenes) return bl_scene_sets_picture(dataset->scenes, role_of(split), index, seed, epoch, picture);
    picture->pixels = bl_dataset_image(dataset, split, index);
    picture->width = picture->height = bl_dataset_size(dataset);
    return BL_OK;
}

const bl_scenes *bl_dataset_labelled(const bl_dataset *dataset) { return dataset->scenes ? dataset->scenes->of[BL_LABELLED] : NULL; }
const bl_scenes *bl_dataset_scored(const bl_dataset *dataset) { return dataset->scenes ? dataset->scenes->of[BL_SCORED] : NULL; }

int bl_dataset_check_labels(bl_dataset *dataset, bl_pool *pool) {
    return dataset->scenes ? bl_scene_sets_check_labels(dataset->scenes, pool) : BL_OK;
}

const char *bl_dataset_remarks(const bl_dataset *dataset) {
    const bl_text *remarks = dataset->scenes ? &dataset->scenes->remarks : &dataset->train.remarks;
    return remarks->size ? remarks->chars : "";
}

const char *bl_dataset_files(const bl_dataset *dataset) { return dataset->scenes ? dataset->scenes->files.chars : dataset->files.chars; }

int bl_dataset_compare(const bl_dataset *dataset, const char *list) {
    return dataset->scenes ? bl_scene_sets_compare(dataset->scenes, list) : bl_file_list_compare(list, dataset->files.chars);
}

void bl_dataset_contents(const bl_dataset *dataset, bl_text *list) {
    if (dataset->scenes) bl_scene_sets_contents(dataset->scenes, list);
}

int bl_dataset_compare_contents(const bl_dataset *dataset, const char *list, int64_t *unknown) {
    return dataset->scenes ? bl_scene_sets_compare_contents(dataset->scenes, list, unknown) : BL_OK;
}

int bl_dataset_read_files(const bl_dataset *dataset, bl_pool *pool, bl_text *list) {
    if (dataset->scenes) return bl_scene_sets_read_files(dataset->scenes, pool, list);
    bl_text_add(list, "%s", bl_dataset_files(dataset));
    return BL_OK;
}

int bl_dataset_compare_read(const char *was, const char *now) { return bl_scene_sets_compare_part(was, now); }

// Each split: its name and count, then the images' bytes and label, one after the other.
void bl_dataset_digest(const bl_dataset *dataset, char out[65]) {
    bl_digest digest;
    if (dataset->scenes) {
        bl_digest_hex(dataset->scenes->files.chars, dataset->scenes->files.size, out);
        return;
    }
    bl_digest_begin(&digest);
    for (int s = 0; s < BL_SPLITS; ++s) {
        char heading[64];
        int length = snprintf(heading, sizeof heading, "%s %" PRId64 "\n", bl_split_name(s), dataset->count[s]);
        bl_digest_add(&digest, heading, (size_t)length);
        for (int64_t i = 0; i < dataset->count[s]; ++i) {
            uint8_t label = (uint8_t)bl_dataset_label(dataset, s, i);
            bl_digest_add(&digest, bl_dataset_image(dataset, s, i), image_bytes(dataset));
            bl_digest_add(&digest, &label, 1);
        }
    }
    bl_digest_end_hex(&digest, out);
}
