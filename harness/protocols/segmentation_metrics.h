// segmentation_metrics.h - how well label maps are predicted: a confusion matrix over a whole set, and what is read off it.
//
// Pixels whose truth is ignored count nowhere, whatever was predicted there. Cityscapes' scripts count likewise, for predictions that
// are always one of the classes, as those of a network are.

#ifndef BL_PROTOCOLS_SEGMENTATION_METRICS_H
#define BL_PROTOCOLS_SEGMENTATION_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h" // BL_CHECK

enum { BL_SEGMENTATION_CLASSES = 64, BL_SEGMENTATION_IGNORED = 255 }; // the most classes; the truth of a pixel that does not count

// Start from {.classes = C}.
typedef struct bl_confusion {
    int classes;
    int64_t counts[BL_SEGMENTATION_CLASSES][BL_SEGMENTATION_CLASSES]; // [truth][prediction] pixels
    double batch_accuracies; // sum over batches of a batch's accuracy x its images
    int64_t images;          // in these batches
} bl_confusion;

// One batch: `images` of `pixels` each. Truth is as a scene loader gives it: classes or BL_SEGMENTATION_IGNORED as floats. Nothing is
// counted where anything else stands in either.
BL_CHECK int bl_confusion_add(bl_confusion *confusion, const uint8_t *predicted, const float *truth, int images, int64_t pixels);

typedef struct bl_segmentation_scores {
    double iou[BL_SEGMENTATION_CLASSES]; // true positives / (truth + predictions - true positives); nan where that is 0 / 0
    int present;                         // classes with truth
    // Two means of it. They differ by classes that were predicted and have no truth: these count as 0 in Cityscapes' scripts, which
    // leave out the nan alone, and are left out of the other.
    double miou_present, miou_cityscapes;
    // Two accuracies. They differ where batches have different shares of ignored pixels: over all pixels, and (as the hands-on review
    // has it) each batch's own, averaged with its images as weight. A batch without a pixel that counts is left out of the second.
    double accuracy, batch_accuracy;
} bl_segmentation_scores;

// nan where nothing was counted.
void bl_confusion_scores(const bl_confusion *confusion, bl_segmentation_scores *scores);

#endif
