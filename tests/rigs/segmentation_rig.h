// segmentation_rig.h - a small study of segmentations, as trainers would leave it.

#ifndef BL_TESTS_SEGMENTATION_RIG_H
#define BL_TESTS_SEGMENTATION_RIG_H

#include "report_rig.h"

enum { ABSENT_CLASS = 16, LOOKS = 3 }; // a class that is nowhere

// "pretrained" and "random" on 10, 50 and 100 % of 40 drawn streets.
static inline void make_scene_study(fixture *here, label_fixture *scenes) {
    make_share_study(here, scenes, BL_PROTOCOL_SEGMENTATION, "segmentation", "val", (const double[]){10, 50, 100},
                     (bl_dataset_options){.name = "streets", .train = 40});
}

static inline void add_look(bl_history *history, const bl_evaluation *row, int64_t step, double miou, bool held_out) {
    bl_look look = {.step = step, .held_out = held_out, .learning_rate = .01, .miou_present = miou, .miou_cityscapes = miou - 2,
                    .accuracy = miou + 20, .batch_accuracy = miou + 21};
    strcpy(look.row, row->row);
    strcpy(look.id, row->id);
    for (int k = 0; k < BL_SCENE_CLASSES; k++) look.iou[k] = k == ABSENT_CLASS ? NAN : miou + k;
    assert_ok(bl_history_add_look(history, &look));
}

// What one look at val said, or LOOKS of them: the second is 3 points above the last. What was held out says 99 throughout.
static inline void add_scene_rows(bl_history *history, const bl_evaluation *rows, const double values[LABEL_ROWS], bool watched) {
    for (int i = 0; i < LABEL_ROWS; i++) {
        add_measured(history, &rows[i], values[i], .01);
        for (int look = watched ? 1 : LOOKS; look <= LOOKS; look++) {
            add_look(history, &rows[i], 100 * look, 99, true);
            add_look(history, &rows[i], 100 * look, values[i] + (double[]){-5, 3, 0}[look - 1], false);
        }
    }
}

static inline void leave_scene_run(fixture *here, uint64_t seed, const double values[LABEL_ROWS], bool watched) {
    bl_history history = {0};
    add_scene_rows(&history, here->experiment.cells[0].evaluations, values, watched);
    write_run(here, 0, seed, &(run_case){0}, &history);
    bl_history_free(&history);
}

#endif
