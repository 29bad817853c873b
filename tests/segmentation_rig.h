// segmentation_rig.h - a small study of segmentations, as trainers would leave it.

#ifndef BL_TESTS_SEGMENTATION_RIG_H
#define BL_TESTS_SEGMENTATION_RIG_H

#include "report_rig.h"

enum { SCENE_ROWS = 6, ABSENT_CLASS = 16, LOOKS = 3 }; // two arms on three shares; a class that is nowhere
static const double scene_shares[] = {10, 50, 100};

typedef struct scene_fixture {
    bl_evaluation rows[SCENE_ROWS];
    char names[SCENE_ROWS][64], ids[SCENE_ROWS][17];
    bl_cell cell;
} scene_fixture;

// "pretrained" and "random" on 10, 50 and 100 % of 40 drawn streets.
static inline void make_scene_study(fixture *here, scene_fixture *scenes) {
    static const char *const arms[] = {"pretrained", "random"};
    for (int i = 0; i < SCENE_ROWS; i++) {
        const double share = scene_shares[i % 3];
        if (share < 100) snprintf(scenes->names[i], sizeof scenes->names[i], "segmentation/%s/%g%%/val", arms[i / 3], share);
        else snprintf(scenes->names[i], sizeof scenes->names[i], "segmentation/%s/val", arms[i / 3]);
        snprintf(scenes->ids[i], sizeof scenes->ids[i], "%016d", i);
        scenes->rows[i] = (bl_evaluation){.row = scenes->names[i], .id = scenes->ids[i], .kind = BL_PROTOCOL_SEGMENTATION, .split = BL_TEST,
                                          .fit = {.share = share, .arm = {.name = arms[i / 3]}}};
    }
    scenes->cell = (bl_cell){.name = "main", .evaluations = scenes->rows, .evaluation_count = SCENE_ROWS, .train_id = "of this recipe",
                             .train = {.epochs = LAST}, .data = {.name = "streets", .train = 40}};
    here->experiment.cells = &scenes->cell;
    here->experiment.cell_count = 1;
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
static inline void add_scene_rows(bl_history *history, const bl_evaluation *rows, const double values[SCENE_ROWS], bool watched) {
    for (int i = 0; i < SCENE_ROWS; i++) {
        bl_measurement measured = {.epoch = LAST, .value = values[i], .chosen = .01, .validation = NAN};
        strcpy(measured.row, rows[i].row);
        strcpy(measured.id, rows[i].id);
        assert_ok(bl_history_add_measurement(history, &measured));
        for (int look = watched ? 1 : LOOKS; look <= LOOKS; look++) {
            add_look(history, &rows[i], 100 * look, 99, true);
            add_look(history, &rows[i], 100 * look, values[i] + (double[]){-5, 3, 0}[look - 1], false);
        }
    }
}

static inline void leave_scene_run(fixture *here, uint64_t seed, const double values[SCENE_ROWS], bool watched) {
    bl_history history = {0};
    add_scene_rows(&history, here->experiment.cells[0].evaluations, values, watched);
    write_run(here, 0, seed, &(run_case){0}, &history);
    bl_history_free(&history);
}

#endif
