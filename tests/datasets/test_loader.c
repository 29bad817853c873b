#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/random.h"
#include "datasets/view_loader.h"

enum { SIDE = 32, FLOATS = 3 * SIDE * SIDE, COUNT = 100 };

static bl_dataset *shapes(void) {
    bl_dataset *dataset;
    bl_dataset_options options = {.name = "shapes", .train = 160, .test = 10};
    assert_ok(bl_dataset_open(&dataset, &options));
    return dataset;
}

static bl_recipe recipe_of(int kernel) {
    return (bl_recipe){
        .items =
            {
                {.kind = BL_RANDOM_RESIZED_CROP, .p = 1, .size = 32, .scale = {0.08, 1}, .ratio = {0.75, 4.0 / 3}, .antialias = true},
                {.kind = BL_FLIP, .p = 0.5},
                {.kind = BL_COLOR_JITTER, .p = 0.8, .brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2},
                {.kind = BL_GAUSSIAN_BLUR, .p = 0.5, .kernel = kernel, .sigma = {0.1, 2}},
                {.kind = BL_GRAYSCALE, .p = 0.2},
                {.kind = BL_NORMALIZE, .p = 1, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
            },
        .count = 6,
    };
}

// Two views of samples 159, 158, ... through a loader of its own.
static float *load(const bl_dataset *dataset, int threads, int count, uint32_t epoch) {
    bl_recipe recipes[2] = {recipe_of(3), recipe_of(3)};
    bl_loader *loader;
    uint32_t samples[COUNT];
    for (int i = 0; i < count; ++i) samples[i] = (uint32_t)(159 - i);
    float *dst = malloc(sizeof *dst * 2 * (size_t)count * FLOATS);
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, threads, 1));
    assert_ok(bl_loader_submit(loader, 0, samples, count, epoch, dst, NULL));
    memset(samples, 0xff, sizeof samples); // the loader keeps a copy
    assert_ok(bl_loader_wait(loader, 0));
    bl_loader_free(loader);
    return dst;
}

static void one_two_and_four_threads_write_the_same_bytes(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    float *one = load(dataset, 1, COUNT, 3), *two = load(dataset, 2, COUNT, 3), *four = load(dataset, 4, COUNT, 3);
    assert_memory_equal(one, two, sizeof *one * 2 * COUNT * FLOATS);
    assert_memory_equal(one, four, sizeof *one * 2 * COUNT * FLOATS);
    free(one), free(two), free(four);
    bl_dataset_close(dataset);
}

static void batch_holds_view_0_of_every_sample_and_then_view_1(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    bl_recipe recipe = recipe_of(3);
    bl_view_scratch scratch = {0};
    float *batch = load(dataset, 2, 11, 3), view[FLOATS];
    for (int row = 0; row < 22; ++row) {
        uint32_t sample = (uint32_t)(159 - row % 11);
        assert_ok(bl_view_make(&recipe, 0, sample, 3, (uint32_t)(row / 11), bl_dataset_image(dataset, BL_TRAIN, sample),
                               bl_square(SIDE), view, &scratch));
        assert_memory_equal(batch + row * FLOATS, view, sizeof view);
    }
    assert_memory_not_equal(batch, batch + 11 * FLOATS, sizeof view);
    free(batch);
    bl_view_scratch_free(&scratch);
    bl_dataset_close(dataset);
}

// A set smaller than a batch: the views of a sample's first occurrence are what they are alone, those of the others are drawn anew.
static void sample_that_comes_again_in_a_batch_is_drawn_anew(void **state) {
    (void)state;
    enum { BATCH = 9, LABELLED = 2 };
    bl_dataset *dataset = shapes();
    bl_recipe recipe = recipe_of(3), recipes[2] = {recipe, recipe};
    bl_view_scratch scratch = {0};
    float *dst = malloc(sizeof *dst * 2 * BATCH * FLOATS), view[FLOATS];
    uint32_t samples[BATCH];
    for (int i = 0; i < BATCH; ++i) samples[i] = i % LABELLED ? 17 : 140;
    bl_loader *loader;
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, 2, 1));
    assert_ok(bl_loader_submit(loader, 0, samples, BATCH, 3, dst, NULL));
    assert_ok(bl_loader_wait(loader, 0));
    for (int row = 0; row < 2 * BATCH; ++row) {
        const int i = row % BATCH;
        const uint64_t seed = i < LABELLED ? 0 : bl_random_seed_again(0, (uint32_t)(i / LABELLED));
        assert_ok(bl_view_make(&recipe, seed, samples[i], 3, (uint32_t)(row / BATCH), bl_dataset_image(dataset, BL_TRAIN, samples[i]),
                               bl_square(SIDE), view, &scratch));
        assert_memory_equal(dst + row * FLOATS, view, sizeof view);
        for (int other = 0; other < row; ++other) assert_memory_not_equal(dst + other * FLOATS, view, sizeof view);
    }
    bl_loader_free(loader);
    bl_view_scratch_free(&scratch);
    free(dst);
    bl_dataset_close(dataset);
}

static void label_of_a_sample_stands_beside_each_of_its_views(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    bl_recipe recipes[2] = {recipe_of(3), recipe_of(3)};
    float *dst = malloc(sizeof *dst * 2 * COUNT * FLOATS), labels[2 * COUNT];
    uint32_t samples[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i) samples[i] = 159 - i;
    bl_loader *loader;
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, 2, 1));
    assert_ok(bl_loader_submit(loader, 0, samples, COUNT, 3, dst, labels));
    assert_ok(bl_loader_wait(loader, 0));
    for (int row = 0; row < 2 * COUNT; ++row)
        assert_true(labels[row] == (float)bl_dataset_label(dataset, BL_TRAIN, samples[row % COUNT]));
    bl_loader_free(loader);
    free(dst);
    bl_dataset_close(dataset);
}

// Draws, transforms and generator together: a change of any of them is a change of every result.
static void first_batches_of_seed_0_are_these_bytes(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    static const char *const expected[] = {
        "50bf8cc33abde65799ca98231a8e6473808419c180e5e03570ef6453698272c7",
        "e4e89447014fc52ba8c8060315a47d85c121f117e89cfcd62283b59a5bb0532d",
    };
    for (uint32_t epoch = 0; epoch < 2; ++epoch) {
        char digest[65];
        float *batch = load(dataset, 2, 64, epoch);
        bl_digest_hex(batch, sizeof *batch * 2 * 64 * FLOATS, digest);
        assert_string_equal(digest, expected[epoch]);
        free(batch);
    }
    bl_dataset_close(dataset);
}

static void error_of_a_worker_waits_for_its_slot_and_spares_the_next_batch(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    bl_recipe good = recipe_of(3), bad = recipe_of(65); // reaches past the border of 32 pixels
    float *dst = malloc(sizeof *dst * COUNT * FLOATS);
    uint32_t samples[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i) samples[i] = i;
    bl_loader *loader;
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, &bad, 1, 0, 2, 2));
    assert_ok(bl_loader_submit(loader, 0, samples, COUNT, 0, dst, NULL));
    assert_int_equal(bl_loader_wait(loader, 0), BL_FAILED);
    assert_non_null(strstr(bl_error(), "a kernel of 65 reaches past"));
    bad = good; // the recipe is borrowed: the same slot now succeeds
    assert_ok(bl_loader_submit(loader, 0, samples, COUNT, 0, dst, NULL));
    assert_ok(bl_loader_wait(loader, 0));
    bl_loader_free(loader);
    free(dst);
    bl_dataset_close(dataset);
}

static void slots_are_filled_side_by_side(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    bl_recipe recipes[2] = {recipe_of(3), recipe_of(3)};
    float *alone[3], *dst[3];
    uint32_t samples[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i) samples[i] = 159 - i;
    bl_loader *loader;
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, 2, 3));
    for (int s = 0; s < 3; ++s) {
        dst[s] = malloc(sizeof **dst * 2 * COUNT * FLOATS);
        assert_ok(bl_loader_submit(loader, s, samples, COUNT, (uint32_t)s, dst[s], NULL));
    }
    for (int s = 2; s >= 0; --s) {
        assert_ok(bl_loader_wait(loader, s));
        alone[s] = load(dataset, 1, COUNT, (uint32_t)s);
        assert_memory_equal(dst[s], alone[s], sizeof **dst * 2 * COUNT * FLOATS);
        free(dst[s]), free(alone[s]);
    }
    bl_loader_free(loader);
    bl_dataset_close(dataset);
}

static int make_squares(const void *context, const bl_slot *slot, int first, int end, void *workspace) {
    (void)context;
    int *made = *(int **)workspace ? *(int **)workspace : (*(int **)workspace = calloc(1, sizeof *made));
    for (int i = first; i < end; ++i, ++*made) {
        if (slot->samples[i] == 13) return bl_fail("13 is not made");
        slot->images[i] = (float)(slot->samples[i] * slot->samples[i]);
        if (slot->labels) slot->labels[i] = (float)(*made < 4);
    }
    return BL_OK;
}

static void free_made(void *workspace) { free(*(int **)workspace); }
static void count_freed(void *context) { ++*(int *)context; }

static void without_threads_a_batch_is_there_and_its_error_told_when_it_was_submitted(void **state) {
    (void)state;
    int freed = 0;
    const bl_maker maker = {.context = &freed, .free = count_freed, .make = make_squares, .workspace_bytes = sizeof(int *),
                            .free_workspace = free_made, .available = 20, .set = "numbers", .samples_a_task = 2};
    bl_loader *loader;
    const float expected[5] = {9, 1, 16, 1, 25};
    float images[5] = {0}, labels[5];
    assert_ok(bl_loader_create(&loader, &maker, 0, 1));
    assert_ok(bl_loader_submit(loader, 0, (uint32_t[]){3, 1, 4, 1, 5}, 5, 0, images, labels));
    for (int i = 0; i < 5; ++i) assert_true(images[i] == expected[i] && labels[i] == (i < 4)); // one workspace made them all
    assert_ok(bl_loader_wait(loader, 0));
    assert_int_equal(bl_loader_submit(loader, 0, (uint32_t[]){2, 13}, 2, 0, images, NULL), BL_FAILED);
    assert_string_equal(bl_error(), "13 is not made");
    assert_ok(bl_loader_wait(loader, 0));
    assert_int_equal(bl_loader_submit(loader, 0, (uint32_t[]){20}, 1, 0, images, NULL), BL_FAILED);
    assert_string_equal(bl_error(), "loader: sample 20 is past the 20 of numbers");
    bl_loader_free(loader);
    assert_int_equal(freed, 1);
}

static void misuse_is_refused(void **state) {
    (void)state;
    bl_dataset *dataset = shapes();
    bl_recipe recipes[2] = {recipe_of(3), recipe_of(3)};
    float *dst = malloc(sizeof *dst * 2 * FLOATS);
    uint32_t sample = 159, past = 160;
    bl_loader *loader;
    assert_ok(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, 1, 1));
    assert_int_equal(bl_loader_submit(loader, 0, &past, 1, 0, dst, NULL), BL_FAILED);
    assert_string_equal(bl_error(), "loader: sample 160 is past the 160 of train");
    assert_ok(bl_loader_submit(loader, 0, &sample, 1, 0, dst, NULL));
    assert_int_equal(bl_loader_submit(loader, 0, &sample, 1, 0, dst, NULL), BL_FAILED);
    assert_non_null(strstr(bl_error(), "slot 0 is filled again before it was waited for"));
    bl_loader_free(loader); // with the batch in flight

    recipes[1].items[0].size = 24;
    assert_int_equal(bl_view_loader_create(&loader, dataset, BL_TRAIN, recipes, 2, 0, 1, 1), BL_FAILED);
    assert_non_null(strstr(bl_error(), "view 0 has 32 pixels a side and view 1 has 24"));
    free(dst);
    bl_dataset_close(dataset);
}

static void shuffled_order_is_a_permutation_of_its_epoch_and_unshuffled_the_file_order(void **state) {
    (void)state;
    uint32_t order[COUNT], again[COUNT], later[COUNT];
    bl_epoch_order(5, 0, false, order, COUNT);
    for (uint32_t i = 0; i < COUNT; ++i) assert_int_equal(order[i], i);

    bool seen[COUNT] = {false};
    bl_epoch_order(5, 1, true, order, COUNT);
    for (int i = 0; i < COUNT; ++i) {
        assert_true(order[i] < COUNT && !seen[order[i]]);
        seen[order[i]] = true;
    }
    bl_epoch_order(5, 1, true, again, COUNT);
    bl_epoch_order(5, 2, true, later, COUNT);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, later, sizeof order);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_two_and_four_threads_write_the_same_bytes),
        cmocka_unit_test(batch_holds_view_0_of_every_sample_and_then_view_1),
        cmocka_unit_test(sample_that_comes_again_in_a_batch_is_drawn_anew),
        cmocka_unit_test(label_of_a_sample_stands_beside_each_of_its_views),
        cmocka_unit_test(first_batches_of_seed_0_are_these_bytes),
        cmocka_unit_test(error_of_a_worker_waits_for_its_slot_and_spares_the_next_batch),
        cmocka_unit_test(slots_are_filled_side_by_side),
        cmocka_unit_test(without_threads_a_batch_is_there_and_its_error_told_when_it_was_submitted),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(shuffled_order_is_a_permutation_of_its_epoch_and_unshuffled_the_file_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
