// What a run remembers of its collapse, its choices and its looks at scenes, in files of today and of before.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "record/history_file.h"
#include "support.h"

static char path[512];

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/seed-0.reference.h5", bl_test_here());
    return 0;
}

static bl_container_writer *writer_of(const bl_history *history) {
    bl_container_writer *writer;
    assert_ok(bl_container_writer_create(&writer));
    if (history) assert_ok(bl_history_put(history, writer));
    return writer;
}

static bl_container_reader *saved(bl_container_writer *writer) {
    bl_container_reader *reader;
    assert_ok(bl_container_writer_save(writer, path));
    bl_container_writer_free(writer);
    assert_ok(bl_container_reader_open(&reader, path));
    return reader;
}

static bl_collapse_row row_number(int i) {
    return (bl_collapse_row){.step = 100 * i, .epoch = 0.5 * i, .loss = 4 - i / 7.0, .std = 0.9, .std_ratio = 1.0 / (1 + i),
                             .mean_cosine = 0.19, .rank = 20 + i, .rankme = 30 + i, .alignment = 0.4 * i, .uniformity = -0.1 * i,
                             .norm = 7.0 * i, .prediction_norm = i ? 1.0 / i : NAN, .verdict = (bl_verdict)(i % BL_VERDICTS)};
}

static void diagnoses_come_back(void **state) {
    (void)state;
    enum { ROWS = 100 };
    bl_history history = {0}, back = {0};
    for (int i = 0; i < ROWS; i++) {
        const bl_collapse_row row = row_number(i);
        assert_ok(bl_history_add_collapse(&history, &row));
    }
    bl_container_reader *reader = saved(writer_of(&history));
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.collapse_count, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_memory_equal(&back.collapse[i], &history.collapse[i], offsetof(bl_collapse_row, verdict));
        assert_int_equal(back.collapse[i].verdict, i % BL_VERDICTS);
    }
    bl_container_reader_close(reader);
    bl_history_free(&history);
    bl_history_free(&back);
    assert_null(back.collapse);
}

static void the_file_itself_names_the_verdicts(void **state) {
    (void)state;
    char *names, expected[256] = "";
    bl_container_reader *reader = saved(writer_of(&(bl_history){0}));
    assert_ok(bl_container_get_text(reader, "/collapse/verdicts", &names));
    for (int i = 0; i < BL_VERDICTS; i++) strcat(strcat(expected, bl_verdict_name((bl_verdict)i)), "\n");
    assert_string_equal(names, expected);
    assert_string_equal(names, "undetermined\nhealthy\ncollapsing\ncollapsed\ndimensional\nstuck\ndiverged\n");
    bl_free(names);
    bl_container_reader_close(reader);
}

static void choices_come_back_beside_what_had_none(void **state) {
    (void)state;
    bl_history history = {0}, back = {0};
    assert_ok(bl_history_add_measurement(&history, &(bl_measurement){"knn/k1_cv/test", "0123456789abcdef", 2, 61.5, NAN, NAN, ""}));
    assert_ok(bl_history_add_measurement(&history, &(bl_measurement){"linear/test", "fedcba9876543210", 2, 70.25, 0.001, 69.5, ""}));
    bl_container_reader *reader = saved(writer_of(&history));
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.measurement_count, 2);
    assert_true(back.measurements[0].value == 61.5 && isnan(back.measurements[0].chosen) && isnan(back.measurements[0].validation));
    assert_true(back.measurements[1].value == 70.25 && back.measurements[1].chosen == 0.001 && back.measurements[1].validation == 69.5);
    bl_container_reader_close(reader);
    bl_history_free(&history);
    bl_history_free(&back);
}

// The data sets that a file had before there were diagnoses and choices.
static bl_container_writer *older_writer(void) {
    static const char *const columns[] = {"/step/epoch", "/step/loss", "/step/std", "/step/std_ratio", "/step/learning_rate", "/step/tau"};
    const int64_t two = 2, one = 1;
    bl_container_writer *writer = writer_of(NULL);
    assert_ok(bl_container_put_i64(writer, "/step/step", (int64_t[]){0, 10}, &two, 1));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        assert_ok(bl_container_put_f64(writer, columns[i], (double[]){1 + (double)i, 0.5}, &two, 1));
    assert_ok(bl_container_put_text(writer, "/evaluation/row", "knn/k1_cv/test\n"));
    assert_ok(bl_container_put_text(writer, "/evaluation/id", "0123456789abcdef\n"));
    assert_ok(bl_container_put_i64(writer, "/evaluation/epoch", (int64_t[]){4}, &one, 1));
    assert_ok(bl_container_put_f64(writer, "/evaluation/value", (double[]){55}, &one, 1));
    return writer;
}

static void an_older_file_has_no_diagnosis_and_no_choice(void **state) {
    (void)state;
    bl_history back = {0};
    bl_container_reader *reader = saved(older_writer());
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.step_count, 2);
    assert_true(back.steps[0].tau == 6 && back.steps[1].step == 10 && back.steps[1].loss == 0.5);
    assert_int_equal(back.collapse_count, 0);
    assert_int_equal(back.measurement_count, 1);
    assert_true(back.measurements[0].value == 55 && isnan(back.measurements[0].chosen) && isnan(back.measurements[0].validation));
    bl_container_reader_close(reader);
    bl_history_free(&back);
}

static void columns_that_do_not_match_are_refused(void **state) {
    (void)state;
    const int64_t one = 1, two = 2;
    const struct {
        int64_t verdicts, verdict, losses;
        const char *message; // behind "FILE: damaged: "
    } cases[] = {
        {2, 1, 1, "/collapse/verdict holds 2 values, /collapse/step 1"},
        {1, BL_VERDICTS, 1, "/collapse/verdict holds 7, which is no verdict"},
        {1, -1, 1, "/collapse/verdict holds -1, which is no verdict"},
        {1, 1, 2, "/collapse/epoch holds 2 values, not 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bl_history back = {0};
        bl_container_writer *writer = older_writer();
        assert_ok(bl_container_put_i64(writer, "/collapse/step", (int64_t[]){0}, &one, 1));
        assert_ok(bl_container_put_i64(writer, "/collapse/verdict", (int64_t[]){cases[i].verdict, 0}, cases[i].verdicts == 2 ? &two : &one, 1));
        assert_ok(bl_container_put_f64(writer, "/collapse/epoch", (double[]){0, 1}, cases[i].losses == 2 ? &two : &one, 1));
        bl_container_reader *reader = saved(writer);
        assert_int_not_equal(bl_history_get(&back, reader), BL_OK);
        bl_test_holds(bl_error(), "h5: damaged: ");
        bl_test_holds(bl_error(), cases[i].message);
        bl_container_reader_close(reader);
        bl_history_free(&back);
    }
}

// ---- segmentation ----

static bl_look look_number(int i) {
    bl_look look = {.id = "0123456789abcdef", .step = 100 * i, .held_out = i % 3 == 1, .learning_rate = .01 / (1 + i),
                    .miou_present = 10 + i / 7.0, .miou_cityscapes = 9 + i / 7.0, .accuracy = 80 + i, .batch_accuracy = i ? 1.0 / i : NAN};
    snprintf(look.row, sizeof look.row, "segmentation/random/%d%%/val", i / 4);
    for (int c = 0; c < BL_SCENE_CLASSES; c++) look.iou[c] = c % 5 == i % 5 ? NAN : (c + i) / 3.0;
    return look;
}

static bl_scene_picture picture_number(int i) {
    bl_scene_picture picture = {.row = "segmentation/random/val", .id = "0123456789abcdef", .width = 3 + i, .height = 2};
    const size_t area = 2 * (size_t)picture.width;
    snprintf(picture.scene, sizeof picture.scene, "val/ulm/ulm_000000_00000%d", i);
    picture.image = bl_alloc(3 * area);
    picture.truth = bl_alloc(area);
    picture.prediction = bl_alloc(area);
    for (size_t k = 0; k < 3 * area; k++) picture.image[k] = (uint8_t)(255 - 7 * k);
    for (size_t k = 0; k < area; k++) {
        picture.truth[k] = k % 4 ? (uint8_t)k : BL_SCENE_IGNORED;
        picture.prediction[k] = (uint8_t)(18 - k);
    }
    return picture;
}

static void looks_and_pictures_come_back(void **state) {
    (void)state;
    enum { LOOKS = 70, PICTURES = 3 };
    bl_history history = {0}, back = {0};
    for (int i = 0; i < LOOKS; i++) {
        const bl_look look = look_number(i);
        assert_ok(bl_history_add_look(&history, &look));
    }
    for (int i = 0; i < PICTURES; i++) {
        const bl_scene_picture picture = picture_number(i);
        assert_ok(bl_history_add_picture(&history, &picture));
    }
    bl_container_reader *reader = saved(writer_of(&history));
    assert_ok(bl_history_get(&back, reader));
    assert_int_equal(back.look_count, LOOKS);
    assert_memory_equal(back.looks, history.looks, LOOKS * sizeof *back.looks);
    assert_int_equal(back.picture_count, PICTURES);
    for (int i = 0; i < PICTURES; i++) {
        const bl_scene_picture *a = &back.pictures[i], *b = &history.pictures[i];
        const size_t area = (size_t)(b->width * b->height);
        assert_memory_equal(a->row, b->row, sizeof a->row);
        assert_memory_equal(a->id, b->id, sizeof a->id);
        assert_string_equal(a->scene, b->scene);
        assert_true(a->width == b->width && a->height == b->height);
        assert_memory_equal(a->image, b->image, 3 * area);
        assert_memory_equal(a->truth, b->truth, area);
        assert_memory_equal(a->prediction, b->prediction, area);
    }
    bl_container_reader_close(reader);
    bl_history_free(&history);
    bl_history_free(&back);
    assert_true(!back.looks && !back.pictures);
}

static void a_file_without_segmentation_has_none(void **state) {
    (void)state;
    bl_history back = {0};
    bl_container_reader *reader = saved(writer_of(&(bl_history){0}));
    assert_false(bl_container_has(reader, "/segmentation"));
    assert_ok(bl_history_get(&back, reader));
    assert_true(!back.look_count && !back.picture_count);
    bl_container_reader_close(reader);
    bl_history_free(&back);
}

static void the_last_and_the_best_look_are_at_val(void **state) {
    (void)state;
    const struct {
        double miou;
        bool held_out;
    } looks[] = {{20, false}, {60, true}, {40, false}, {40, false}, {30, false}, {50, true}};
    bl_history history = {0};
    for (int i = 0; i < 6; i++) {
        bl_look look = {.row = "segmentation/random/val", .id = "0123456789abcdef", .step = i, .held_out = looks[i].held_out,
                        .miou_present = looks[i].miou};
        assert_ok(bl_history_add_look(&history, &look));
    }
    assert_int_equal(bl_history_last_look(&history, "segmentation/random/val", "0123456789abcdef")->step, 4);
    assert_int_equal(bl_history_best_look(&history, "segmentation/random/val", "0123456789abcdef")->step, 2); // the first of equals
    assert_null(bl_history_last_look(&history, "segmentation/random/val", "fedcba9876543210"));
    assert_null(bl_history_best_look(&history, "segmentation/pretrained/val", "0123456789abcdef"));
    bl_history_free(&history);
}

static void looks_and_pictures_that_do_not_match_are_refused(void **state) {
    (void)state;
    const int64_t one = 1, two[3] = {2, 1, 3}, classes = BL_SCENE_CLASSES;
    const double iou[BL_SCENE_CLASSES] = {0};
    const uint8_t bytes[6] = {0};
    for (int i = 0; i < 3; i++) {
        bl_history back = {0};
        bl_container_writer *writer = older_writer();
        if (i < 2) {
            assert_ok(bl_container_put_text(writer, "/segmentation/look/row", i ? "a row\n" : ""));
            assert_ok(bl_container_put_text(writer, "/segmentation/look/id", "0123456789abcdef\n"));
            assert_ok(bl_container_put_i64(writer, "/segmentation/look/step", two, &one, 1));
            assert_ok(bl_container_put_i64(writer, "/segmentation/look/held_out", (int64_t[]){0, 1}, i ? two : &one, 1));
            assert_ok(bl_container_put_f64(writer, "/segmentation/look/iou", iou, &classes, 1));
        } else {
            static const char *const texts[] = {"row", "id", "scene"};
            for (int k = 0; k < 3; k++) {
                char at[64];
                snprintf(at, sizeof at, "/segmentation/picture/0/%s", texts[k]);
                assert_ok(bl_container_put_text(writer, at, "text"));
            }
            assert_ok(bl_container_put_u8(writer, "/segmentation/picture/0/image", bytes, two, 3));
            assert_ok(bl_container_put_u8(writer, "/segmentation/picture/0/truth", bytes, &one, 1));
        }
        static const char *const says[] = {"/segmentation/look: the names of its rows do not match its values",
                                           "the columns of /segmentation/look are not equally long",
                                           "/segmentation/picture/0/truth holds 1 value, not 2"};
        bl_container_reader *reader = saved(writer);
        assert_int_not_equal(bl_history_get(&back, reader), BL_OK);
        bl_test_holds(bl_error(), says[i]);
        bl_container_reader_close(reader);
        bl_history_free(&back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(diagnoses_come_back, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(the_file_itself_names_the_verdicts, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(choices_come_back_beside_what_had_none, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(an_older_file_has_no_diagnosis_and_no_choice, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(columns_that_do_not_match_are_refused, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(looks_and_pictures_come_back, set_up, bl_test_leave),
        cmocka_unit_test_setup_teardown(a_file_without_segmentation_has_none, set_up, bl_test_leave),
        cmocka_unit_test(the_last_and_the_best_look_are_at_val),
        cmocka_unit_test_setup_teardown(looks_and_pictures_that_do_not_match_are_refused, set_up, bl_test_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
