#include "protocols/segmentation_metrics.h"

#include <math.h>

int bl_confusion_add(bl_confusion *confusion, const uint8_t *predicted, const float *truth, int images, int64_t pixels) {
    int classes = confusion->classes;
    int64_t count = images * pixels, counted = 0, correct = 0;
    if (classes < 1 || classes > BL_SEGMENTATION_CLASSES)
        return bl_fail("segmentation: %d classes: between 1 and %d can be scored", classes, BL_SEGMENTATION_CLASSES);
    for (int64_t i = 0; i < count; ++i) {
        bool is_class = truth[i] >= 0 && truth[i] < (float)classes && truth[i] == floorf(truth[i]);
        if (!is_class && truth[i] != BL_SEGMENTATION_IGNORED)
            return bl_fail("segmentation: image %lld of the batch has the label %g, which is neither below %d nor %d",
                           (long long)(i / pixels), (double)truth[i], classes, BL_SEGMENTATION_IGNORED);
        if (is_class && predicted[i] >= classes)
            return bl_fail("segmentation: image %lld of the batch is predicted class %d of %d", (long long)(i / pixels), predicted[i],
                           classes);
    }
    for (int64_t i = 0; i < count; ++i) {
        if (truth[i] == BL_SEGMENTATION_IGNORED) continue;
        int class = (int)truth[i];
        ++confusion->counts[class][predicted[i]];
        ++counted;
        correct += class == predicted[i];
    }
    if (counted) {
        confusion->batch_accuracies += (double)images * (double)correct / (double)counted;
        confusion->images += images;
    }
    return BL_OK;
}

void bl_confusion_scores(const bl_confusion *confusion, bl_segmentation_scores *scores) {
    int64_t all = 0, correct = 0;
    int scored = 0;
    double sum = 0, present_sum = 0;
    *scores = (bl_segmentation_scores){0};
    for (int c = 0; c < confusion->classes; ++c) {
        int64_t truth = 0, predictions = 0, hit = confusion->counts[c][c];
        for (int other = 0; other < confusion->classes; ++other) {
            truth += confusion->counts[c][other];
            predictions += confusion->counts[other][c];
        }
        int64_t either = truth + predictions - hit;
        scores->iou[c] = either ? (double)hit / (double)either : NAN;
        if (either) sum += scores->iou[c];
        if (truth) present_sum += scores->iou[c];
        scored += either > 0;
        scores->present += truth > 0;
        all += truth;
        correct += hit;
    }
    scores->miou_present = scores->present ? present_sum / scores->present : NAN;
    scores->miou_cityscapes = scored ? sum / scored : NAN;
    scores->accuracy = all ? (double)correct / (double)all : NAN;
    scores->batch_accuracy = confusion->images ? confusion->batch_accuracies / (double)confusion->images : NAN;
}
