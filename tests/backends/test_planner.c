#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "backends/planner.h"
#include "base/random.h"
#include "support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static bool share_a_step(const bl_item *a, const bl_item *b) {
    return a->first <= b->last && b->first <= a->last;
}

static void assert_sound(const bl_item *items, int count, size_t arena_bytes) {
    for (int i = 0; i < count; i++) {
        assert_int_equal(items[i].offset % 64, 0);
        assert_true(items[i].offset + items[i].bytes <= arena_bytes);
        for (int k = 0; k < i; k++)
            if (share_a_step(&items[i], &items[k]) && items[i].bytes && items[k].bytes)
                assert_true(items[i].offset + items[i].bytes <= items[k].offset || items[k].offset + items[k].bytes <= items[i].offset);
    }
}

// The most bytes alive in one step: no plan can need less.
static size_t most_alive(const bl_item *items, int count, int steps) {
    size_t most = 0;
    for (int step = 0; step < steps; step++) {
        size_t alive = 0;
        for (int i = 0; i < count; i++)
            if (items[i].first <= step && step <= items[i].last) alive += (items[i].bytes + 63) / 64 * 64;
        if (alive > most) most = alive;
    }
    return most;
}

static void nothing_to_place_needs_no_memory(void **state) {
    (void)state;
    size_t bytes = 1;
    assert_ok(bl_plan_memory(NULL, 0, &bytes));
    assert_int_equal(bytes, 0);
    bl_item empty = {.bytes = 0, .first = 0, .last = 3};
    assert_ok(bl_plan_memory(&empty, 1, &bytes));
    assert_int_equal(bytes, 0);
}

static void items_that_never_meet_share_one_place(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 1000, .first = 0, .last = 1}, {.bytes = 1000, .first = 2, .last = 3}, {.bytes = 500, .first = 4, .last = 4}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_int_equal(bytes, 1024);
    for (int i = 0; i < COUNT(items); i++) assert_int_equal(items[i].offset, 0);
}

static void items_that_meet_in_one_step_lie_apart(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 64, .first = 0, .last = 2}, {.bytes = 64, .first = 2, .last = 4}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_sound(items, COUNT(items), bytes);
    assert_int_equal(bytes, 128);
}

static void item_kept_to_the_end_meets_all_later_ones(void **state) {
    (void)state;
    bl_item items[] = {{.bytes = 10, .first = 1, .last = INT_MAX}, {.bytes = 700, .first = 5, .last = 6}, {.bytes = 700, .first = 90, .last = 91}};
    size_t bytes;
    assert_ok(bl_plan_memory(items, COUNT(items), &bytes));
    assert_sound(items, COUNT(items), bytes);
    assert_int_equal(items[1].offset, items[2].offset);
}

static void life_that_ends_before_it_begins_is_refused(void **state) {
    (void)state;
    bl_item item = {.bytes = 64, .first = 3, .last = 2};
    size_t bytes;
    assert_int_not_equal(bl_plan_memory(&item, 1, &bytes), BL_OK);
}

// A chain of short lives with a few long ones, as in training: activations live from their forward to their backward node.
static void random_lives(bl_item *items, int count, int steps, uint32_t sample) {
    bl_random random = bl_random_stream(5, "lives", sample, 0, 0);
    for (int i = 0; i < count; i++) {
        const int first = (int)bl_random_below(&random, (uint32_t)steps);
        const int length = bl_random_below(&random, 4) ? (int)bl_random_below(&random, 4) : steps - 2 * (steps - first);
        const int last = first + (length > 0 ? length : 0);
        items[i] = (bl_item){.bytes = 1 + ((size_t)1 << bl_random_below(&random, 20)), .first = first, .last = last < steps ? last : steps - 1};
    }
}

static void random_lives_stay_apart_and_close_to_the_bound(void **state) {
    (void)state;
    enum { items_count = 300, steps = 200, samples = 40 };
    double excess = 0;
    for (uint32_t sample = 0; sample < samples; sample++) {
        bl_item items[items_count];
        random_lives(items, items_count, steps, sample);
        size_t bytes;
        assert_ok(bl_plan_memory(items, items_count, &bytes));
        assert_sound(items, items_count, bytes);
        const double bound = (double)most_alive(items, items_count, steps);
        assert_true((double)bytes >= bound);
        assert_true((double)bytes <= 1.25 * bound);
        excess += (double)bytes / bound - 1;
    }
    print_message("mean excess over the bound: %.1f %%\n", 100 * excess / samples);
    assert_true(excess / samples <= 0.05);
}

static void same_items_give_the_same_plan(void **state) {
    (void)state;
    bl_item a[100], b[100];
    random_lives(a, 100, 50, 77);
    random_lives(b, 100, 50, 77);
    size_t bytes_a, bytes_b;
    assert_ok(bl_plan_memory(a, 100, &bytes_a));
    assert_ok(bl_plan_memory(b, 100, &bytes_b));
    assert_int_equal(bytes_a, bytes_b);
    for (int i = 0; i < 100; i++) assert_int_equal(a[i].offset, b[i].offset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_to_place_needs_no_memory),
            cmocka_unit_test(items_that_never_meet_share_one_place),
            cmocka_unit_test(items_that_meet_in_one_step_lie_apart),
            cmocka_unit_test(item_kept_to_the_end_meets_all_later_ones),
            cmocka_unit_test(life_that_ends_before_it_begins_is_refused),
            cmocka_unit_test(random_lives_stay_apart_and_close_to_the_bound),
            cmocka_unit_test(same_items_give_the_same_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
