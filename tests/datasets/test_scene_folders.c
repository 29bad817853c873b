// Folders of scenes as they come: what would be left out is refused by name, what is left out is said, labelled or not. And sets whose
// label maps are maps, and wrong.

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/threads.h"
#include "datasets/dataset.h"
#include "scenes_rig.h"

enum { AREA = WIDTH * HEIGHT };

#define CITY "leftImg8bit/train/aachen/"
#define FRAME CITY "aachen_000000_000000_leftImg8bit"
#define MAPS "gtFine/train/aachen/"
#define MAP MAPS "aachen_000000_000000_gtFine_labelIds.png"
#define CLASSES MAPS "aachen_000000_000000_gtFine_labelTrainIds.png"

// ---- doing things to a folder ----

static char *name_of(const char *root, const char *rest) { return strdup(path_of(root, rest)); }

static void put(const char *root, const char *rest) { // a file
    char *path = name_of(root, rest);
    const int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(descriptor >= 0 && write(descriptor, "x", 1) == 1 && !close(descriptor));
    free(path);
}

static void put_folder(const char *root, const char *rest) { assert_ok(bl_make_folders(path_of(root, rest))); }

static void rename_in(const char *root, const char *from, const char *to) {
    char *old = name_of(root, from), *new = name_of(root, to);
    assert_int_equal(rename(old, new), 0);
    free(old), free(new);
}

static void link_in(const char *root, const char *to, const char *name) { assert_int_equal(symlink(to, path_of(root, name)), 0); }
static void drop(const char *root, const char *rest) { assert_int_equal(unlink(path_of(root, rest)), 0); }

static void city_gone(const char *root) { link_in(root, "/mnt/not/there", "leftImg8bit/train/bonn"); }
static void split_gone(const char *root) {
    rename_in(root, "leftImg8bit/train", "leftImg8bit/elsewhere");
    link_in(root, "/mnt/not/there", "leftImg8bit/train");
}
static void image_gone(const char *root) {
    drop(root, FRAME ".png");
    link_in(root, "/mnt/not/there.png", FRAME ".png");
}
static void link_in_a_circle(const char *root) { link_in(root, "circle", CITY "circle"); }
static void upper(const char *root) { rename_in(root, FRAME ".png", FRAME ".PNG"); }
static void upper_words(const char *root) { rename_in(root, FRAME ".png", CITY "aachen_000000_000000_LEFTIMG8BIT.png"); }
static void jpeg(const char *root) { rename_in(root, FRAME ".png", FRAME ".jpg"); }
static void jpeg_alone(const char *root) { put(root, CITY "photo.JPEG"); }
static void half_copied(const char *root) { put(root, FRAME ".png.part"); }
static void without_end(const char *root) { rename_in(root, FRAME ".png", CITY "aachen_000000_000000.png"); }
static void without_frame(const char *root) { put(root, CITY "_leftImg8bit.png"); }
static void misplaced(const char *root) { rename_in(root, FRAME ".png", "leftImg8bit/train/aachen_000000_000000_leftImg8bit.png"); }
static void misplaced_higher(const char *root) { rename_in(root, FRAME ".png", "leftImg8bit/aachen_000000_000000_leftImg8bit.png"); }
static void misplaced_deeper(const char *root) {
    put_folder(root, CITY "more/still");
    rename_in(root, FRAME ".png", CITY "more/still/aachen_000000_000000_leftImg8bit.png");
}
static void all_flat(const char *root) {
    misplaced(root);
    rename_in(root, IMAGE, "leftImg8bit/train/aachen_000000_000001_leftImg8bit.png");
    rename_in(root, "leftImg8bit/train/zurich/zurich_000000_000002_leftImg8bit.png", "leftImg8bit/train/zurich_000000_000002_leftImg8bit.png");
}
static void pipe_for_an_image(const char *root) { assert_int_equal(mkfifo(path_of(root, CITY "aachen_000000_000009_leftImg8bit.png"), 0600), 0); }
static void folder_for_an_image(const char *root) {
    put_folder(root, CITY "aachen_000000_000009_leftImg8bit.png");
    put(root, CITY "aachen_000000_000009_leftImg8bit.png/0.png");
}
static void folder_is_a_file(const char *root) {
    rename_in(root, "leftImg8bit/train", "leftImg8bit/elsewhere");
    put(root, "leftImg8bit/train");
}
static void label_map_gone(const char *root) {
    drop(root, MAP);
    link_in(root, "/mnt/not/there.png", MAP);
}
static void classes_gone(const char *root) { link_in(root, "/mnt/not/there.png", CLASSES); }
static void label_map_upper(const char *root) { rename_in(root, MAP, MAPS "aachen_000000_000000_gtFine_labelIds.PNG"); }
static void classes_upper(const char *root) { put(root, MAPS "aachen_000000_000000_gtFine_labelTrainIds.PNG"); }
static void label_map_misplaced(const char *root) { rename_in(root, MAP, "gtFine/train/aachen_000000_000000_gtFine_labelIds.png"); }
static void label_map_alone(const char *root) { put(root, MAPS "aachen_000000_000007_gtFine_labelIds.png"); }
static void city_of_labels_alone(const char *root) {
    put_folder(root, "gtFine/train/bonn");
    put(root, "gtFine/train/bonn/bonn_000000_000007_gtFine_labelTrainIds.png");
}

typedef enum { BOTH, LABELLED } when; // LABELLED: label maps are not looked for where none is wanted

static bl_dataset_options options_of(const char *root, bool labelled) {
    return (bl_dataset_options){.name = "cityscapes", .root = root, .scene_splits = 1u << BL_SCENE_TRAIN, .labelled = labelled};
}

static void what_would_be_left_out_is_refused_by_name(void **state) {
    static const struct {
        void (*spoil)(const char *root);
        when when;
        const char *file, *says;
    } cases[] = {
        {city_gone, BOTH, "leftImg8bit/train/bonn", "a link to /mnt/not/there, where nothing is: put back what it leads to"},
        {split_gone, BOTH, "leftImg8bit/train", "a link to /mnt/not/there, where nothing is"},
        {image_gone, BOTH, FRAME ".png", "a link to /mnt/not/there.png, where nothing is"},
        {link_in_a_circle, BOTH, CITY "circle", "a link to circle, where nothing is"},
        {upper, BOTH, FRAME ".PNG", "it would be left out: images are <city>/<frame>_leftImg8bit.png, 8-bit RGB, in these letters"},
        {upper_words, BOTH, CITY "aachen_000000_000000_LEFTIMG8BIT.png", "rename or convert it"},
        {jpeg, BOTH, FRAME ".jpg", "it would be left out"},
        {jpeg_alone, BOTH, CITY "photo.JPEG", "it would be left out"},
        {half_copied, BOTH, FRAME ".png.part", "it would be left out"},
        {without_end, BOTH, CITY "aachen_000000_000000.png", "it would be left out"},
        {without_frame, BOTH, CITY "_leftImg8bit.png", "it would be left out"},
        {misplaced, BOTH, "leftImg8bit/train/aachen_000000_000000_leftImg8bit.png", "it lies where it would be left out"},
        {misplaced_higher, BOTH, "leftImg8bit/aachen_000000_000000_leftImg8bit.png", "it lies where it would be left out"},
        {misplaced_deeper, BOTH, CITY "more/still/aachen_000000_000000_leftImg8bit.png", "it lies where it would be left out"},
        {all_flat, BOTH, "leftImg8bit/train/aachen_000000_000000_leftImg8bit.png", "move it, or take it away"},
        {pipe_for_an_image, BOTH, CITY "aachen_000000_000009_leftImg8bit.png", "not a regular file"},
        {folder_for_an_image, BOTH, CITY "aachen_000000_000009_leftImg8bit.png/0.png", "it lies where it would be left out"},
        {folder_is_a_file, BOTH, "leftImg8bit/train", "no such folder: data.root must be"},
        {label_map_gone, LABELLED, MAP, "a link to /mnt/not/there.png, where nothing is"},
        {classes_gone, LABELLED, CLASSES, "a link to /mnt/not/there.png, where nothing is"},
        {label_map_upper, LABELLED, MAPS "aachen_000000_000000_gtFine_labelIds.PNG", "label maps are <city>/<frame>_gtFine_labelIds.png"},
        {classes_upper, LABELLED, MAPS "aachen_000000_000000_gtFine_labelTrainIds.PNG", "it would be left out"},
        {label_map_misplaced, LABELLED, "gtFine/train/aachen_000000_000000_gtFine_labelIds.png", "it lies where it would be left out"},
        {label_map_alone, LABELLED, MAPS "aachen_000000_000007_gtFine_labelIds.png", "it has no image"},
        {city_of_labels_alone, LABELLED, "gtFine/train/bonn/bonn_000000_000007_gtFine_labelTrainIds.png", "it has no image"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        for (int labelled = 0; labelled < 2; ++labelled) {
            char *root = make_root(WIDTH, HEIGHT);
            bl_dataset *dataset;
            cases[i].spoil(root);
            const bl_dataset_options options = options_of(root, labelled);
            const int status = bl_dataset_open(&dataset, &options);
            if (!labelled && cases[i].when == LABELLED) {
                assert_ok(status);
            } else {
                if (!status) fail_msg("case %zu: nothing is said of %s", i, cases[i].file);
                bl_test_holds(bl_error(), cases[i].file);
                bl_test_holds(bl_error(), cases[i].says);
            }
            bl_dataset_close(dataset);
            bl_test_folder_remove(root);
        }
}

// Root may read everything, and is nobody here.
static void folder_that_may_not_be_read_is_refused(void **state) {
    static const struct {
        const char *folder;
        mode_t mode;
        const char *says;
    } cases[] = {{"leftImg8bit/train/zurich", 0, "leftImg8bit/train/zurich: cannot read the folder: Permission denied"},
                 {"leftImg8bit/train/zurich", 0644, "zurich_000000_000002_leftImg8bit.png: cannot be looked at: Permission denied"},
                 {"leftImg8bit", 0, "leftImg8bit/train: cannot be looked at: Permission denied"}};
    const bl_dataset_options options = options_of(*state, false);
    const uid_t user = geteuid();
    for (const char *const *folder = (const char *const[]){".", "leftImg8bit", "leftImg8bit/train", "leftImg8bit/train/aachen", NULL}; *folder; ++folder)
        assert_int_equal(chmod(path_of(*state, *folder), 0755), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        bl_dataset *dataset;
        assert_int_equal(chmod(path_of(*state, cases[i].folder), cases[i].mode), 0);
        assert_true(user || !seteuid(65534));
        const int status = bl_dataset_open(&dataset, &options);
        assert_true(user || !seteuid(0));
        assert_int_equal(chmod(path_of(*state, cases[i].folder), 0755), 0);
        assert_int_equal(status, BL_FAILED);
        bl_test_holds(bl_error(), cases[i].says);
    }
}

// ---- what is said ----

static int make_folder(void **state) {
    *state = make_root(WIDTH, HEIGHT);
    return 0;
}

static bl_dataset *open_set(const char *root, bool labelled) {
    bl_dataset *dataset;
    const bl_dataset_options options = options_of(root, labelled);
    assert_ok(bl_dataset_open(&dataset, &options));
    return dataset;
}

static void nothing_is_said_of_a_folder_that_is_as_its_archives_unpack(void **state) {
    static const char *const partners[] = {"color.png", "instanceIds.png", "instanceTrainIds.png", "polygons.json"};
    for (int i = 0; i < 4; ++i) {
        char name[200];
        snprintf(name, sizeof name, MAPS "aachen_000000_000000_gtFine_%s", partners[i]);
        put(*state, name);
    }
    bl_dataset *dataset = open_set(*state, true);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 3);
    assert_string_equal(bl_dataset_remarks(dataset), "");
    bl_dataset_close(dataset);
}

static void what_is_passed_over_is_counted_and_the_first_ones_named(void **state) {
    static const char *const clutter[] = {".DS_Store", "Thumbs.db", "desktop.ini", "._aachen_000000_000000_leftImg8bit.png"};
    for (int i = 0; i < 4; ++i) {
        char name[200];
        snprintf(name, sizeof name, CITY "%s", clutter[i]);
        put(*state, name);
    }
    put(*state, "leftImg8bit/train/README.txt");
    put(*state, CITY "notes");
    put_folder(*state, CITY "sub");
    put_folder(*state, "leftImg8bit/train/empty");
    put_folder(*state, "leftImg8bit/train/@eaDir");
    put_folder(*state, "leftImg8bit/demoVideo");
    put(*state, MAPS "aachen_000000_000000_gtFine_panoptic.json");
    bl_dataset *dataset = open_set(*state, true);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 3);
    assert_string_equal(bl_dataset_remarks(dataset),
                        "leftImg8bit: passed over: 1 file or folder that is no scene (demoVideo/)\n"
                        "leftImg8bit/train: passed over: 4 files or folders that are no scenes (README.txt, aachen/notes, aachen/sub/, ...) and "
                        "5 files or folders of other programs (@eaDir, aachen/.DS_Store, aachen/._aachen_000000_000000_leftImg8bit.png, ...)\n"
                        "gtFine/train: passed over: 1 file or folder that is no scene (aachen/aachen_000000_000000_gtFine_panoptic.json)\n");
    bl_dataset_close(dataset);
}

static void city_that_a_link_leads_to_is_read(void **state) {
    rename_in(*state, "leftImg8bit/train/zurich", "images_of_zurich");
    link_in(*state, "../../images_of_zurich", "leftImg8bit/train/zurich");
    bl_dataset *dataset = open_set(*state, true);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 3);
    assert_string_equal(bl_dataset_remarks(dataset), "");
    bl_dataset_close(dataset);
}

static void scenes_that_are_there_twice_are_said(void **state) {
    link_in(*state, "aachen", "leftImg8bit/train/bonn");
    bl_dataset *dataset = open_set(*state, false);
    assert_int_equal(bl_dataset_count(dataset, BL_TRAIN), 5);
    assert_string_equal(bl_dataset_remarks(dataset),
                        "2 scenes are the same picture as another (train/bonn/aachen_000000_000000 as train/aachen/aachen_000000_000000)\n"
                        "2 scenes are called as one in another city (train/bonn/aachen_000000_000000 as train/aachen/aachen_000000_000000)\n");
    bl_dataset_close(dataset);
}

// ---- label maps ----

static void write_map(const char *root, const char *file, const uint8_t *ids) { assert_ok(bl_png_save(path_of(root, file), ids, WIDTH, HEIGHT, 1)); }

static void write_all_of(const char *root, const char *split, uint8_t id) {
    static const char *const train[] = {"aachen/aachen_000000_000000", "aachen/aachen_000000_000001", "zurich/zurich_000000_000002"};
    const bool is_val = !strcmp(split, "val");
    uint8_t ids[AREA];
    memset(ids, id, sizeof ids);
    for (int i = 0; i < (is_val ? 1 : 3); ++i) {
        char file[200];
        snprintf(file, sizeof file, "gtFine/%s/%s_gtFine_labelIds.png", split, is_val ? "ulm/ulm_000000_000003" : train[i]);
        write_map(root, file, ids);
    }
}

static int check(const char *root, bl_dataset **dataset) {
    bl_pool *pool;
    *dataset = open_set(root, true);
    assert_ok(bl_pool_create(&pool, 2));
    const int status = bl_dataset_check_labels(*dataset, pool);
    bl_pool_free(pool);
    return status;
}

static void set_without_a_pixel_of_a_class_is_refused(void **state) {
    static const char *const splits[2] = {"train", "val"};
    for (int s = 0; s < 2; ++s)
        for (int k = 0; k < 2; ++k) { // unlabelled, and a licence plate
            bl_dataset *dataset;
            char says[200];
            write_all_of(*state, "train", 7), write_all_of(*state, "val", 7);
            write_all_of(*state, splits[s], k ? 255 : 0);
            assert_int_equal(check(*state, &dataset), BL_FAILED);
            snprintf(says, sizeof says, "no pixel of it is of a class, nor of any of the %d label maps of its set", s ? 1 : 3);
            bl_test_holds(bl_error(), s ? "gtFine/val/ulm/" : "gtFine/train/aachen/");
            bl_test_holds(bl_error(), says);
            bl_dataset_close(dataset);
        }
}

static void maps_without_a_class_among_others_and_classes_that_are_only_scored_are_said(void **state) {
    static uint8_t ids[AREA];
    bl_dataset *dataset;
    write_all_of(*state, "train", 7);
    for (int i = 0; i < AREA; ++i) ids[i] = i % 2 ? 24 : 26;
    write_map(*state, "gtFine/val/ulm/ulm_000000_000003_gtFine_labelIds.png", ids);
    memset(ids, 0, sizeof ids);
    write_map(*state, MAP, ids);
    assert_ok(check(*state, &dataset));
    bl_test_holds(bl_dataset_remarks(dataset), "1 of 3 label maps without a pixel of a class (");
    bl_test_holds(bl_dataset_remarks(dataset), MAP ")\n");
    bl_test_holds(bl_dataset_remarks(dataset), "scored in val, and in no label map of train: person, car\n");
    assert_int_equal(bl_scenes_classes(bl_dataset_labelled(dataset), 0), 0);
    assert_int_equal(bl_scenes_classes(bl_dataset_labelled(dataset), 1), 1);
    assert_int_equal(bl_scenes_classes(bl_dataset_scored(dataset), 0), 1u << 11 | 1u << 13);
    bl_dataset_close(dataset);
}

static void maps_of_one_scene_must_say_the_same(void **state) {
    static uint8_t ids[AREA], classes[AREA];
    bl_dataset *dataset;
    for (int i = 0; i < AREA; ++i) ids[i] = i % 3 ? 26 : 0, classes[i] = i % 3 ? 13 : 255;
    write_map(*state, MAP, ids), write_map(*state, CLASSES, classes);
    assert_ok(check(*state, &dataset));
    bl_dataset_close(dataset);
    classes[WIDTH + 4] = 0;
    write_map(*state, CLASSES, classes);
    assert_int_equal(check(*state, &dataset), BL_FAILED);
    bl_test_holds(bl_error(), CLASSES ": the pixel in column 4, row 1 is of road, and of car in ");
    bl_test_holds(bl_error(), MAP ": take the map away that is not meant");
    bl_dataset_close(dataset);
}

static void map_of_classes_under_the_name_of_one_of_ids_is_said(void **state) {
    static const struct {
        uint8_t ids[4];
        bool is_said;
    } cases[] = {{{0, 2, 10, 13}, true}, // road, building, sky, car
                 {{0, 0, 1, 255}, true},
                 {{7, 11, 23, 26}, false}, // the same as ids
                 {{0, 3, 4, 23}, false},   // mostly ignored, but for the sky
                 {{7, 11, 8, 0}, false},
                 {{0, 0, 0, 0}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        static uint8_t ids[AREA];
        bl_dataset *dataset;
        for (int p = 0; p < AREA; ++p) ids[p] = cases[i].ids[p / 8 % 4];
        write_map(*state, MAP, ids);
        assert_ok(check(*state, &dataset));
        const bool is_said = strstr(bl_dataset_remarks(dataset), "1 of 3 label maps that are called label ids and look like classes");
        if (is_said != cases[i].is_said) fail_msg("case %zu: '%s'", i, bl_dataset_remarks(dataset));
        bl_dataset_close(dataset);
    }
}

// Bilinearly, to twice the size: between two ids lie two more.
static void map_that_was_resized_as_a_picture_is_said(void **state) {
    static uint8_t ids[AREA];
    for (int blended = 0; blended < 2; ++blended) {
        bl_dataset *dataset;
        for (int y = 0; y < HEIGHT; ++y)
            for (int x = 0; x < WIDTH; ++x) {
                const int at = x % 16; // eight pixels of road, eight of person
                ids[y * WIDTH + x] = (uint8_t)(at < 8 ? 7 : 24);
                if (blended && at == 7) ids[y * WIDTH + x] = 11;
                if (blended && at == 8) ids[y * WIDTH + x] = 20;
            }
        write_map(*state, MAP, ids);
        assert_ok(check(*state, &dataset));
        if (blended) bl_test_holds(bl_dataset_remarks(dataset), "1 of 3 label maps whose ids run into each other as in a picture that was resized");
        else assert_null(strstr(bl_dataset_remarks(dataset), "run into each other"));
        bl_dataset_close(dataset);
    }
}

int main(void) {
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_be_left_out_is_refused_by_name),
        WITH_FOLDER(folder_that_may_not_be_read_is_refused),
        WITH_FOLDER(nothing_is_said_of_a_folder_that_is_as_its_archives_unpack),
        WITH_FOLDER(what_is_passed_over_is_counted_and_the_first_ones_named),
        WITH_FOLDER(city_that_a_link_leads_to_is_read),
        WITH_FOLDER(scenes_that_are_there_twice_are_said),
        WITH_FOLDER(set_without_a_pixel_of_a_class_is_refused),
        WITH_FOLDER(maps_without_a_class_among_others_and_classes_that_are_only_scored_are_said),
        WITH_FOLDER(maps_of_one_scene_must_say_the_same),
        WITH_FOLDER(map_of_classes_under_the_name_of_one_of_ids_is_said),
        WITH_FOLDER(map_that_was_resized_as_a_picture_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
