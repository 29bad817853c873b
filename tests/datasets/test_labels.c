// Which images are labelled: nested, balanced, disjoint parts, drawn from (seed, class); and what is refused.

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "datasets/labels.h"
#include "support.h"

enum { IMAGES = 230, CLASSES = 4 };

static uint8_t labels[IMAGES];
static const int64_t class_sizes[CLASSES] = {100, 70, 40, 20};

// Classes of several sizes, mixed.
static int set_up(void **state) {
    (void)state;
    int64_t left[CLASSES];
    memcpy(left, class_sizes, sizeof left);
    for (int i = 0, class = 0; i < IMAGES; i++, class = (class + 1) % CLASSES) {
        while (!left[class]) class = (class + 1) % CLASSES;
        labels[i] = (uint8_t)class;
        left[class]--;
    }
    return 0;
}

static bl_labelled choose(double share, double held_out, uint64_t seed) {
    bl_labelled chosen;
    assert_ok(bl_labels_choose(&chosen, labels, IMAGES, CLASSES, share, held_out, seed));
    return chosen;
}

static bool holds(const uint32_t *part, int64_t count, uint32_t image) {
    for (int64_t i = 0; i < count; i++)
        if (part[i] == image) return true;
    return false;
}

static int64_t of_class(const uint32_t *part, int64_t count, int class) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) found += labels[part[i]] == class;
    return found;
}

static void assert_ascending(const uint32_t *part, int64_t count) {
    for (int64_t i = 1; i < count; i++) assert_true(part[i - 1] < part[i]);
}

static void a_share_takes_its_rounded_part_of_every_class(void **state) {
    (void)state;
    const struct {
        double share;
        int64_t of[CLASSES];
    } cases[] = {{100, {100, 70, 40, 20}}, {10, {10, 7, 4, 2}}, {5, {5, 4, 2, 1}}, {2.5, {3, 2, 1, 1}}, {37, {37, 26, 15, 7}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_labelled chosen = choose(cases[i].share, 0, 1);
        int64_t sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            assert_int_equal(of_class(chosen.all, chosen.count, c), cases[i].of[c]);
            sum += cases[i].of[c];
        }
        assert_int_equal(chosen.count, sum);
        assert_ascending(chosen.all, chosen.count);
        bl_labelled_free(&chosen);
    }
}

static void a_smaller_share_lies_inside_a_larger_one_whatever_is_held_out(void **state) {
    (void)state;
    const double shares[] = {2.5, 10, 37, 90, 100};
    for (int i = 0; i < 4; i++) {
        bl_labelled small = choose(shares[i], 0, 3), large = choose(shares[i + 1], .3, 3);
        for (int64_t k = 0; k < small.count; k++) assert_true(holds(large.all, large.count, small.all[k]));
        bl_labelled_free(&small);
        bl_labelled_free(&large);
    }
}

static void fitted_and_held_out_are_the_labelled_images_and_share_none(void **state) {
    (void)state;
    bl_labelled chosen = choose(37, .2, 5);
    assert_int_equal(chosen.fitted_count + chosen.held_out_count, chosen.count);
    assert_ascending(chosen.fitted, chosen.fitted_count);
    assert_ascending(chosen.held_out, chosen.held_out_count);
    for (int64_t i = 0; i < chosen.count; i++)
        assert_true(holds(chosen.fitted, chosen.fitted_count, chosen.all[i]) !=
                    holds(chosen.held_out, chosen.held_out_count, chosen.all[i]));
    const int64_t held[CLASSES] = {7, 5, 3, 1}; // a fifth of 37, 26, 15, 7
    for (int c = 0; c < CLASSES; c++) assert_int_equal(of_class(chosen.held_out, chosen.held_out_count, c), held[c]);
    bl_labelled_free(&chosen);
}

static void at_least_one_image_a_class_is_held_out_where_any_is_wanted(void **state) {
    (void)state;
    bl_labelled chosen = choose(10, .01, 5);
    for (int c = 0; c < CLASSES; c++) assert_int_equal(of_class(chosen.held_out, chosen.held_out_count, c), 1);
    bl_labelled_free(&chosen);
}

static void each_class_has_the_order_of_its_stream_and_holds_out_the_end_of_its_prefix(void **state) {
    (void)state;
    bl_labelled chosen = choose(10, .3, 11);
    const int64_t labelled[CLASSES] = {10, 7, 4, 2}, held[CLASSES] = {3, 2, 1, 1};
    for (int c = 0; c < CLASSES; c++) {
        uint32_t members[IMAGES], order[IMAGES], count = 0;
        for (uint32_t i = 0; i < IMAGES; i++)
            if (labels[i] == c) members[count++] = i;
        bl_random random = bl_random_stream(11, "labels", (uint32_t)c, 0, 0);
        bl_random_permutation(&random, order, count);
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(holds(chosen.fitted, chosen.fitted_count, members[order[i]]), i < labelled[c] - held[c]);
            assert_int_equal(holds(chosen.held_out, chosen.held_out_count, members[order[i]]),
                             i >= labelled[c] - held[c] && i < labelled[c]);
        }
    }
    bl_labelled_free(&chosen);
}

static void another_seed_labels_other_images(void **state) {
    (void)state;
    bl_labelled a = choose(10, 0, 1), b = choose(10, 0, 2), again = choose(10, 0, 1);
    assert_int_equal(a.count, b.count);
    assert_memory_not_equal(a.all, b.all, (size_t)a.count * sizeof *a.all);
    assert_memory_equal(a.all, again.all, (size_t)a.count * sizeof *a.all);
    bl_labelled_free(&a);
    bl_labelled_free(&b);
    bl_labelled_free(&again);
}

static void what_cannot_be_labelled_is_refused_with_what_to_write(void **state) {
    (void)state;
    const struct {
        int classes;
        double share, held_out;
        const char *says, *advises;
    } cases[] = {
        {5, 100, 0, "class 4 has no image", ""},
        {4, 1, 0, "1 % of the 20 images of class 3 is less than one", "a share of at least 2.5"},
        {4, 5, .1, "5 % gives class 3 1 of its images; with 1 held out none is left", "larger share or a smaller validation"},
        {4, 0, 0, "a share of 0 %", "more than 0 and at most 100"},
        {4, 101, 0, "a share of 101 %", "at most 100"},
        {4, NAN, 0, "a share of nan %", "at most 100"},
        {4, 50, 1, "1 held out", "from 0 to below 1"},
        {3, 50, 0, "label 3 of image 3 is not below 3", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_labelled chosen;
        assert_int_not_equal(bl_labels_choose(&chosen, labels, IMAGES, cases[i].classes, cases[i].share, cases[i].held_out, 1), BL_OK);
        if (!strstr(bl_error(), cases[i].says) || !strstr(bl_error(), cases[i].advises))
            fail_msg("\"%s\" does not say \"%s\" and \"%s\"", bl_error(), cases[i].says, cases[i].advises);
        assert_null(chosen.all);
    }
}

// ---- scenes ----

static bl_labelled choose_scenes(int64_t count, double share, bool listed, double held_out, uint64_t seed) {
    bl_labelled chosen;
    assert_ok(bl_labels_choose_scenes(&chosen, count, share, listed, held_out, seed));
    return chosen;
}

static void a_share_of_scenes_is_the_first_of_one_order_and_at_least_one(void **state) {
    (void)state;
    enum { SCENES = 40 };
    const struct {
        double share, held_out;
        int64_t labelled, held;
    } cases[] = {{100, 0, 40, 0}, {10, .25, 4, 1}, {6, 0, 2, 0}, {1, 0, 1, 0}, {50, .01, 20, 1}, {100, .2, 40, 8}};
    uint32_t order[SCENES];
    bl_random random = bl_random_stream(9, "scenes", 0, 0, 0);
    bl_random_permutation(&random, order, SCENES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_labelled chosen = choose_scenes(SCENES, cases[i].share, false, cases[i].held_out, 9);
        assert_int_equal(chosen.count, cases[i].labelled);
        assert_int_equal(chosen.held_out_count, cases[i].held);
        assert_int_equal(chosen.fitted_count, cases[i].labelled - cases[i].held);
        assert_ascending(chosen.all, chosen.count);
        for (int k = 0; k < SCENES; k++) {
            assert_int_equal(holds(chosen.all, chosen.count, order[k]), k < cases[i].labelled);
            assert_int_equal(holds(chosen.fitted, chosen.fitted_count, order[k]), k < cases[i].labelled - cases[i].held);
            assert_int_equal(holds(chosen.held_out, chosen.held_out_count, order[k]),
                             k >= cases[i].labelled - cases[i].held && k < cases[i].labelled);
        }
        bl_labelled_free(&chosen);
    }
}

static void a_smaller_share_of_scenes_lies_inside_a_larger_one(void **state) {
    (void)state;
    const double shares[] = {1, 5, 10, 25, 50, 100};
    for (int listed = 0; listed < 2; listed++)
        for (int i = 0; i < 5; i++) {
            bl_labelled small = choose_scenes(200, shares[i], listed, 0, 3), large = choose_scenes(200, shares[i + 1], listed, .2, 3);
            assert_true(small.count < large.count);
            for (int64_t k = 0; k < small.count; k++) assert_true(holds(large.all, large.count, small.all[k]));
            bl_labelled_free(&small);
            bl_labelled_free(&large);
        }
}

// n = int(2975 * percent) // 100 of Cityscapes' train, as the hands-on review's code has it.
static void listed_scenes_are_the_reviews_prefix(void **state) {
    (void)state;
    const struct {
        double share;
        int64_t count;
    } cases[] = {{1, 29}, {2, 59}, {10, 297}, {28, 833}, {37, 1100}, {95, 2826}, {100, 2975}, {.5, 14}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bl_labelled chosen = choose_scenes(2975, cases[i].share, true, .2, 3);
        assert_int_equal(chosen.count, cases[i].count);
        for (int64_t k = 0; k < chosen.count; k++) assert_int_equal(chosen.all[k], k);
        assert_true(chosen.held_out[0] < chosen.count / 2); // not the last city alone
        bl_labelled_free(&chosen);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_takes_its_rounded_part_of_every_class),
        cmocka_unit_test(a_smaller_share_lies_inside_a_larger_one_whatever_is_held_out),
        cmocka_unit_test(fitted_and_held_out_are_the_labelled_images_and_share_none),
        cmocka_unit_test(at_least_one_image_a_class_is_held_out_where_any_is_wanted),
        cmocka_unit_test(each_class_has_the_order_of_its_stream_and_holds_out_the_end_of_its_prefix),
        cmocka_unit_test(another_seed_labels_other_images),
        cmocka_unit_test(what_cannot_be_labelled_is_refused_with_what_to_write),
        cmocka_unit_test(a_share_of_scenes_is_the_first_of_one_order_and_at_least_one),
        cmocka_unit_test(a_smaller_share_of_scenes_lies_inside_a_larger_one),
        cmocka_unit_test(listed_scenes_are_the_reviews_prefix),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
