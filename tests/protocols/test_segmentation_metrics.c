#include "support.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "protocols/segmentation_metrics.h"

static void assert_close(double ours, double worked) {
    if (isnan(worked) ? !isnan(ours) : !(fabs(ours - worked) < 1e-12)) fail_msg("%.17g, worked %.17g", ours, worked);
}

// ---- worked by hand ----

// Two images of five pixels; class 3 is predicted and never there, class 4 neither.
static void scores_are_what_they_are_by_hand(void **state) {
    (void)state;
    static const float truth[10] = {0, 0, 0, 1, 255, 1, 1, 2, 255, 255};
    static const uint8_t predicted[10] = {0, 0, 1, 1, 2, 1, 3, 2, 0, 77};
    bl_confusion confusion = {.classes = 5};
    bl_segmentation_scores scores;
    assert_ok(bl_confusion_add(&confusion, predicted, truth, 1, 5));         // 3 of 4 right
    assert_ok(bl_confusion_add(&confusion, predicted + 5, truth + 5, 1, 5)); // 2 of 3
    bl_confusion_scores(&confusion, &scores);
    assert_close(scores.iou[0], 2.0 / 3); // 2 of 3 found, nothing else taken for it
    assert_close(scores.iou[1], 2.0 / 4); // 2 of 3 found, one other taken for it
    assert_close(scores.iou[2], 1);
    assert_close(scores.iou[3], 0);
    assert_close(scores.iou[4], NAN);
    assert_int_equal(scores.present, 3);
    assert_close(scores.miou_present, (2.0 / 3 + 0.5 + 1) / 3);
    assert_close(scores.miou_cityscapes, (2.0 / 3 + 0.5 + 1 + 0) / 4);
    assert_close(scores.accuracy, 5.0 / 7);
    assert_close(scores.batch_accuracy, (3.0 / 4 + 2.0 / 3) / 2);
}

// One batch of three images, then one of one: the last one's share is a quarter, though it has half of the pixels that count.
static void batches_weigh_by_their_images(void **state) {
    (void)state;
    static const float first[6] = {0, 255, 255, 255, 255, 0}, second[2] = {1, 1};
    static const uint8_t zeros[6] = {0};
    bl_confusion confusion = {.classes = 2};
    bl_segmentation_scores scores;
    assert_ok(bl_confusion_add(&confusion, zeros, first, 3, 2));
    assert_ok(bl_confusion_add(&confusion, zeros, second, 1, 2));
    bl_confusion_scores(&confusion, &scores);
    assert_close(scores.accuracy, 0.5);
    assert_close(scores.batch_accuracy, 0.75);
}

static void nothing_counted_is_nan_and_an_ignored_batch_has_no_weight(void **state) {
    (void)state;
    static const float ignored[2] = {255, 255}, right[2] = {1, 1};
    static const uint8_t ones[2] = {1, 1};
    bl_confusion confusion = {.classes = 2};
    bl_segmentation_scores scores;
    assert_ok(bl_confusion_add(&confusion, ones, ignored, 1, 2));
    bl_confusion_scores(&confusion, &scores);
    assert_close(scores.miou_present, NAN);
    assert_close(scores.miou_cityscapes, NAN);
    assert_close(scores.accuracy, NAN);
    assert_close(scores.batch_accuracy, NAN);
    assert_ok(bl_confusion_add(&confusion, ones, right, 1, 2));
    bl_confusion_scores(&confusion, &scores);
    assert_close(scores.batch_accuracy, 1);
}

static void what_is_no_class_is_refused_and_nothing_of_its_batch_counts(void **state) {
    (void)state;
    static const struct {
        float truth[2];
        uint8_t predicted[2];
        const char *says;
    } cases[] = {
        {{0, 3}, {0, 0}, "image 1 of the batch has the label 3, which is neither below 3 nor 255"},
        {{-1, 0}, {0, 0}, "image 0 of the batch has the label -1"},
        {{0, 1.5f}, {0, 0}, "label 1.5"},
        {{NAN, 0}, {0, 0}, "label nan"},
        {{0, 0}, {0, 3}, "image 1 of the batch is predicted class 3 of 3"},
    };
    bl_confusion confusion = {.classes = 3};
    bl_segmentation_scores scores;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(bl_confusion_add(&confusion, cases[i].predicted, cases[i].truth, 2, 1), BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
    }
    bl_confusion_scores(&confusion, &scores);
    assert_close(scores.accuracy, NAN);
    confusion.classes = 65;
    assert_int_equal(bl_confusion_add(&confusion, cases[0].predicted, cases[0].truth, 1, 1), BL_FAILED);
    bl_test_holds(bl_error(), "65 classes: between 1 and 64");
}

// ---- against the definition ----

// The score of a class as Cityscapes' scripts have it (evalPixelLevelSemanticLabeling.py): rows are truth, columns predictions.
static double script_score(int64_t counts[BL_SEGMENTATION_CLASSES][BL_SEGMENTATION_CLASSES], int classes, int label) {
    int64_t true_positives = counts[label][label], false_negatives = -true_positives, false_positives = 0;
    for (int other = 0; other < classes; ++other) {
        false_negatives += counts[label][other];
        if (other != label) false_positives += counts[other][label];
    }
    int64_t all = true_positives + false_positives + false_negatives;
    return all ? (double)true_positives / (double)all : NAN;
}

// IoU without a matrix: the sizes of intersection and union of two sets of pixels.
static double set_score(const uint8_t *predicted, const float *truth, int64_t pixels, int label, bool *present) {
    int64_t both = 0, either = 0;
    *present = false;
    for (int64_t i = 0; i < pixels; ++i) {
        if (truth[i] == 255) continue;
        bool is = truth[i] == (float)label, said = predicted[i] == label;
        both += is && said;
        either += is || said;
        *present |= is;
    }
    return either ? (double)both / (double)either : NAN;
}

enum { PIXELS = 700, BATCHES = 5, IMAGES = 2 };

static void random_maps_score_as_the_definitions_say(void **state) {
    (void)state;
    for (uint32_t trial = 0; trial < 60; ++trial) {
        bl_random random = bl_random_stream(3, "maps", trial, 0, 0);
        int classes = 2 + (int)bl_random_below(&random, 18), shown = 1 + (int)bl_random_below(&random, (uint32_t)classes);
        static uint8_t predicted[BATCHES * IMAGES * PIXELS];
        static float truth[BATCHES * IMAGES * PIXELS];
        int64_t correct = 0, counted = 0, count = BATCHES * IMAGES * PIXELS;
        for (int64_t i = 0; i < count; ++i) {
            truth[i] = bl_random_below(&random, 5) ? (float)bl_random_below(&random, (uint32_t)shown) : 255;
            predicted[i] = (uint8_t)bl_random_below(&random, (uint32_t)classes - trial % 2);
            counted += truth[i] != 255;
            correct += truth[i] == predicted[i];
        }
        bl_confusion confusion = {.classes = classes};
        bl_segmentation_scores scores;
        for (int b = 0; b < BATCHES; ++b)
            assert_ok(bl_confusion_add(&confusion, predicted + b * IMAGES * PIXELS, truth + b * IMAGES * PIXELS, IMAGES, PIXELS));
        bl_confusion_scores(&confusion, &scores);

        double sum = 0, present_sum = 0;
        int scored = 0, present_count = 0;
        for (int c = 0; c < classes; ++c) {
            bool present;
            double score = set_score(predicted, truth, count, c, &present);
            assert_close(scores.iou[c], score);
            assert_close(scores.iou[c], script_score(confusion.counts, classes, c));
            if (!isnan(score)) sum += score, ++scored;
            if (present) present_sum += score, ++present_count;
        }
        assert_int_equal(scores.present, present_count);
        assert_close(scores.miou_cityscapes, sum / scored);
        assert_close(scores.miou_present, present_sum / present_count);
        assert_close(scores.accuracy, (double)correct / (double)counted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_what_they_are_by_hand),
        cmocka_unit_test(batches_weigh_by_their_images),
        cmocka_unit_test(nothing_counted_is_nan_and_an_ignored_batch_has_no_weight),
        cmocka_unit_test(what_is_no_class_is_refused_and_nothing_of_its_batch_counts),
        cmocka_unit_test(random_maps_score_as_the_definitions_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
