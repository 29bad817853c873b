// Segmentations in the report: curves of mIoU, last and best looks, classes, and pictures.

#include "datasets/scenes/png.h"
#include "report/lettering.h"
#include "segmentation_rig.h"

static void labelled_scenes_have_curves_of_miou(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    leave_scene_run(here, 1, (const double[]){22, 30, 40, 12, 21, 30}, false);
    char *summary = report_of(here);
    bl_test_holds(summary, "\n## Label efficiency: segmentation, val\n\n| labels (scenes) | pretrained | random | difference |\n"
                          "|---:|---:|---:|---:|\n| 10 % (4) | 21.0 ± 12.7 | 11.0 ± 12.7 | +10.0 (no spread) |\n");
    bl_test_holds(summary, "| segmentation, val | pretrained | random | 2 | 50 % (20) | 50 % to 50 % |\n");
    bl_test_holds(summary, "![mIoU by the share of the labels](labels.svg)");
    assert_null(strstr(summary, "best"));
    assert_written(here, "labels.csv", "\"segmentation/pretrained/val\",\"segmentation\",\"pretrained\",\"main\",100,40,2,40,0,40,40,0\n");
    assert_written(here, "labels.gp", "set label 3 'mIoU (%)'");
    assert_written(here, "labels.gp", "'labelled scenes: share of the train split, and scenes'");
    free(summary);
}

static void shares_of_a_folder_of_scenes_are_not_counted(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    scenes.cell.data = (bl_dataset_options){.name = "cityscapes"};
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    char *summary = report_of(here);
    bl_test_holds(summary, "| labels | pretrained | random | difference |\n|---:|---:|---:|---:|\n| 10 % | 20.0 | 10.0 | +10.0 (one pair) |\n");
    assert_written(here, "labels.csv", "\"pretrained\",\"main\",10,,1,20,,,,0\n");
    assert_written(here, "labels.gp", "'labelled scenes: share of the train split'");
    assert_written(here, "labels.gp", "\"10 %%\" 10");
    free(summary);
}

static void every_score_stands_in_the_table(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    leave_scene_run(here, 1, (const double[]){20, 30, 42, 10, 20, 30}, false);
    char *summary = report_of(here);
    bl_test_holds(summary, "\n## Segmentation of val\n");
    bl_test_holds(summary, "| main | pretrained | 100 % | last | 300 | 2 | 41.0 ± 12.7 | 39.0 ± 12.7 | 61.0 ± 12.7 | 62.0 ± 12.7 |\n");
    assert_written(here, "segmentation.csv", "\"main\",\"segmentation/pretrained/val\",\"pretrained\",100,\"last\",\"miou_cityscapes\",2,39,");
    assert_written(here, "segmentation.csv", "\"last\",\"update\",2,300,0,300,300,0\n");
    assert_null(strstr(summary, "best on val"));
    free(summary);
}

static void a_single_share_stands_among_the_results_as_miou(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    scenes.cell.evaluation_count = 1;
    char *summary = report_of(here);
    bl_test_holds(summary, "| main | segmentation/pretrained/10%/val | 1 | - | 2 | 20.0 |");
    bl_test_holds(summary, "\nAccuracies, and mIoU of segmentations, in percent, ");
    bl_test_holds(summary, "| main | pretrained | 10 % | last | 300 | 1 | 20.0 | 18.0 | 40.0 | 41.0 |\n");
    assert_null(strstr(summary, "## Label efficiency"));
    assert_false(is_there(here, "labels.csv"));
    free(summary);
}

static void where_val_was_watched_the_best_look_is_said_to_be_too_high(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, true);
    char *summary = report_of(here);
    bl_test_holds(summary, "| main | random | 100 % | last | 300 | 1 | 30.0 | 28.0 | 50.0 | 51.0 |\n"
                          "| main | random | 100 % | best on val | 200 | 1 | 33.0 | 31.0 | 53.0 | 54.0 |\n");
    bl_test_holds(summary, "\nBest on val: chosen on the images it is reported on, so too high.\n");
    bl_test_holds(summary, "\n## Label efficiency: segmentation, val, best look\n");
    bl_test_holds(summary, "| 100 % (40) | 43.0 | 33.0 | +10.0 (one pair) |\n");
    assert_written(here, "segmentation.csv", "\"best\",\"update\",1,200,,,,0\n");
    assert_written(here, "labels.csv", "\"segmentation/random/val (best)\",\"segmentation\",\"random\",\"main\",50,20,1,23,,,,0\n");
    free(summary);
}

static void a_class_without_truth_or_prediction_has_an_empty_field(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    leave_scene_run(here, 7, (const double[]){20, 30, 44, 10, 20, 30}, false);
    char *summary = report_of(here);
    bl_test_holds(summary, "\n### IoU by class\n\n| class | pretrained, 100 % | random, 100 % |\n|---|---:|---:|\n| road | 42.0 ± 25.4 | 30.0 ± 0.0 |\n");
    bl_test_holds(summary, "\n| train | - | - |\n");
    assert_written(here, "classes.csv", "\"main\",\"segmentation/pretrained/val\",\"pretrained\",100,\"last\",7,300,\"sidewalk\",45\n");
    assert_written(here, "classes.csv", "\"main\",\"segmentation/pretrained/val\",\"pretrained\",100,\"last\",7,300,\"train\",\n");
    free(summary);
}

static void published_figures_stand_beside_the_looks_they_are_of(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    static const struct {
        const char *row;
        double value;
    } figures[] = {{"segmentation/pretrained/val", 68.3}, {"segmentation/pretrained/10%/val", 39.2}, {"segmentation/random/val", 59.2}};
    make_scene_study(here, &scenes);
    for (int i = 0; i < 3; i++)
        here->expectations[i] = (bl_expectation){.row = figures[i].row, .value = figures[i].value, .low = figures[i].value, .high = figures[i].value,
                                                 .spread = NAN, .n = 1, .epoch = LAST, .origin = "digitised", .source = "a review",
                                                 .selection = "best_on_test", .about = "", .context = true};
    here->expectations[3] = (bl_expectation){.row = figures[2].row, .value = 25, .low = 25, .high = 25, .spread = NAN, .epoch = LAST, .origin = "read",
                                             .source = "a paper", .selection = "last"};
    here->experiment.expectation_count = 4;
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, true);
    char *summary = report_of(here);
    bl_test_holds(summary, "| 100 % (40) | 40.0 | 30.0 | 25 (ours +5.0) | +10.0 (one pair) |\n");
    bl_test_holds(summary, "\nPublished: a paper, read.\n");
    bl_test_holds(summary, "| labels (scenes) | pretrained | published | random | published | difference |\n|---:|---:|---:|---:|---:|---:|\n"
                          "| 10 % (4) | 23.0 | 39.2 | 13.0 | - | +10.0 (one pair) |\n| 50 % (20) | 33.0 | - | 23.0 | - | +10.0 (one pair) |\n"
                          "| 100 % (40) | 43.0 | 68.3 | 33.0 | 59.2 | +10.0 (one pair) |\n");
    bl_test_holds(summary, "\nPublished: a review, digitised, n = 1; chosen on val, as ours are here.\n");
    assert_null(strstr(summary, "## Beside published figures"));
    assert_written(here, "labels_published.csv", // by share, whatever the file's order
                   "\n1,\"segmentation/pretrained/val (best)\",\"pretrained\",\"\",10,39.2,39.2,39.2,1,\"digitised\",\"a review\"\n"
                   "1,\"segmentation/pretrained/val (best)\",\"pretrained\",\"\",100,68.3,");
    free(summary);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false); // no best look: beside the last ones
    free(report_of(here));
    assert_written(here, "labels_published.csv", "\"segmentation/pretrained/val\",\"pretrained\",\"\",10,39.2,");
    if (has_gnuplot()) assert_written(here, "labels.svg", ">published, other set-up</text>");
}

// ---- pictures ----

enum { SCENE_WIDTH = 128, SCENE_HEIGHT = 64, SCALE = 2, MARGIN = 20, TOP = MARGIN + 26, COLUMN = SCENE_WIDTH * SCALE + 8,
       LINE = SCENE_HEIGHT * SCALE + 8 };

// The image is of one grey, the truth road with an ignored corner, the prediction one class.
static void add_picture(bl_history *history, const bl_evaluation *row, const char *scene, uint8_t predicted) {
    const size_t pixels = SCENE_WIDTH * SCENE_HEIGHT;
    bl_scene_picture picture = {.width = SCENE_WIDTH, .height = SCENE_HEIGHT, .image = bl_alloc(3 * pixels), .truth = bl_alloc(pixels),
                                .prediction = bl_alloc(pixels)};
    strcpy(picture.row, row->row);
    strcpy(picture.id, row->id);
    strcpy(picture.scene, scene);
    memset(picture.image, 120, 3 * pixels);
    memset(picture.prediction, predicted, pixels);
    picture.truth[0] = BL_SCENE_IGNORED;
    assert_ok(bl_history_add_picture(history, &picture));
}

static void leave_pictures(fixture *here, uint64_t seed) {
    const bl_evaluation *rows = here->experiment.cells[0].evaluations;
    bl_history history = {0};
    add_scene_rows(&history, rows, (const double[]){20, 30, 40, 10, 20, 30}, false);
    add_picture(&history, &rows[2], "val/a/a_000000_000000", 10); // sky
    add_picture(&history, &rows[2], "val/a/a_000000_000001", 13); // car
    add_picture(&history, &rows[5], "val/a/a_000000_000001", 11); // person
    write_run(here, 0, seed, &(run_case){0}, &history);
    bl_history_free(&history);
}

typedef struct sheet {
    bl_png png;
    uint8_t *rgb;
} sheet;

static sheet written_sheet(fixture *here) {
    sheet made;
    char path[600];
    snprintf(path, sizeof path, "%s/tests/small/pictures.png", here->folder);
    assert_ok(bl_png_look(path, &made.png));
    made.rgb = bl_alloc(3 * (size_t)made.png.width * (size_t)made.png.height);
    assert_ok(bl_png_read(path, &made.png, made.rgb));
    return made;
}

static void assert_colour(const sheet *made, int x, int y, const uint8_t colour[3]) {
    const uint8_t *pixel = made->rgb + 3 * ((size_t)y * (size_t)made->png.width + (size_t)x);
    if (memcmp(pixel, colour, 3) != 0)
        fail_msg("at %d, %d: %d %d %d, not %d %d %d", x, y, pixel[0], pixel[1], pixel[2], colour[0], colour[1], colour[2]);
}

static void pictures_show_scenes_below_each_other_and_arms_side_by_side(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    static const uint8_t grey[] = {120, 120, 120}, black[3], absent[] = {0xee, 0xee, 0xee}, paper[] = {255, 255, 255};
    make_scene_study(here, &scenes);
    leave_pictures(here, 1);
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false); // the first seed has none
    char *summary = report_of(here);
    bl_test_holds(summary, "](pictures.png)\n\nWhole scenes of val as seed 1 predicts them after its last update, from above: "
                          "`val/a/a_000000_000000`, `val/a/a_000000_000001`.\n");
    sheet made = written_sheet(here);
    assert_int_equal(made.png.width, 2 * MARGIN + 4 * COLUMN - 8);
    const struct {
        int column, line;
        const uint8_t *colour;
    } tiles[] = {{0, 0, grey}, {1, 0, bl_scene_classes[0].colour}, {2, 0, bl_scene_classes[10].colour}, {3, 0, absent},
                 {0, 1, grey}, {1, 1, bl_scene_classes[0].colour}, {2, 1, bl_scene_classes[13].colour}, {3, 1, bl_scene_classes[11].colour}};
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        const int left = MARGIN + tiles[i].column * COLUMN, top = TOP + tiles[i].line * LINE;
        const int right = left + SCENE_WIDTH * SCALE, bottom = top + SCENE_HEIGHT * SCALE;
        assert_colour(&made, left + SCALE, top, tiles[i].colour);
        assert_colour(&made, right - 1, bottom - 1, tiles[i].colour);
        assert_colour(&made, left + SCALE, bottom, paper);
        if (tiles[i].column == 1) assert_colour(&made, left + SCALE - 1, top + SCALE - 1, black); // ignored
    }
    bl_free(made.rgb);
    free(summary);
}

// As cells draw them whose streets have other seeds.
static void other_scenes_of_one_name_are_lines_of_their_own(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    static const uint8_t absent[] = {0xee, 0xee, 0xee};
    make_scene_study(here, &scenes);
    const bl_evaluation *rows = here->experiment.cells[0].evaluations;
    bl_history history = {0};
    add_scene_rows(&history, rows, (const double[]){20, 30, 40, 10, 20, 30}, false);
    add_picture(&history, &rows[2], "val/a/a_000000_000000", 10);
    add_picture(&history, &rows[5], "val/a/a_000000_000000", 11);
    history.pictures[1].truth[1] = 13;
    write_run(here, 0, 0, &(run_case){0}, &history);
    bl_history_free(&history);
    free(report_of(here));
    sheet made = written_sheet(here);
    const uint8_t *const tiles[2][2] = {{bl_scene_classes[10].colour, absent}, {absent, bl_scene_classes[11].colour}};
    for (int line = 0; line < 2; line++)
        for (int k = 0; k < 2; k++) assert_colour(&made, MARGIN + (2 + k) * COLUMN + SCALE, TOP + line * LINE, tiles[line][k]);
    bl_free(made.rgb);
}

static void pictures_that_no_run_has_do_not_stay_behind(void **state) {
    fixture *here = *state;
    label_fixture scenes;
    make_scene_study(here, &scenes);
    leave_pictures(here, 0);
    free(report_of(here));
    assert_true(is_there(here, "pictures.png"));
    leave_scene_run(here, 0, (const double[]){20, 30, 40, 10, 20, 30}, false);
    char *summary = report_of(here);
    assert_false(is_there(here, "pictures.png") || strstr(summary, "pictures.png"));
    free(summary);
}

static void every_letter_leaves_ink_of_its_own_and_stays_on_the_canvas(void **state) {
    (void)state;
    enum { SIDE = 40, LETTERS = '~' - '!' + 1 };
    static uint8_t drawn[LETTERS][SIDE * SIDE * 3];
    for (int i = 0; i < LETTERS; i++) {
        const char text[] = {(char)('!' + i), 0};
        const bl_canvas canvas = {.rgb = drawn[i], .width = SIDE, .height = SIDE};
        memset(drawn[i], 255, sizeof drawn[i]);
        bl_lettering_draw(&canvas, 6, 6, 3, text);
        uint8_t darkest = 255;
        for (int p = 0; p < SIDE * SIDE * 3; p++) darkest = drawn[i][p] < darkest ? drawn[i][p] : darkest;
        assert_true(darkest < 100);
        for (int k = 0; k < i; k++)
            if (memcmp(drawn[i], drawn[k], sizeof drawn[i]) == 0) fail_msg("%c looks like %c", '!' + i, '!' + k);
        bl_lettering_draw(&canvas, SIDE - 3, SIDE - 3, 3, text); // partly and wholly beyond it
        bl_lettering_draw(&canvas, -100, -100, 3, text);
    }
    assert_true(bl_lettering_width("\xc3\xa9", 2) == bl_lettering_width("o", 2)); // one box, not two
    assert_true(bl_lettering_width("ab c", 2) == bl_lettering_width("ab", 2) + bl_lettering_width(" ", 2) + bl_lettering_width("c", 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(labelled_scenes_have_curves_of_miou, open_study, close_study),
        cmocka_unit_test_setup_teardown(shares_of_a_folder_of_scenes_are_not_counted, open_study, close_study),
        cmocka_unit_test_setup_teardown(every_score_stands_in_the_table, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_single_share_stands_among_the_results_as_miou, open_study, close_study),
        cmocka_unit_test_setup_teardown(where_val_was_watched_the_best_look_is_said_to_be_too_high, open_study, close_study),
        cmocka_unit_test_setup_teardown(a_class_without_truth_or_prediction_has_an_empty_field, open_study, close_study),
        cmocka_unit_test_setup_teardown(published_figures_stand_beside_the_looks_they_are_of, open_study, close_study),
        cmocka_unit_test_setup_teardown(pictures_show_scenes_below_each_other_and_arms_side_by_side, open_study, close_study),
        cmocka_unit_test_setup_teardown(other_scenes_of_one_name_are_lines_of_their_own, open_study, close_study),
        cmocka_unit_test_setup_teardown(pictures_that_no_run_has_do_not_stay_behind, open_study, close_study),
        cmocka_unit_test(every_letter_leaves_ink_of_its_own_and_stays_on_the_canvas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
