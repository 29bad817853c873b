#include "datasets/scene_sets.h"

#include <string.h>

#include "base/random.h"
#include "datasets/file_list.h"

enum { DEFAULT_TRAIN = 256, DEFAULT_TEST = 64, DEFAULT_WIDTH = 256, DEFAULT_HEIGHT = 128 }; // of drawn scenes
static const char *const headings[BL_SCENE_ROLES] = {"# unlabelled\n", "# labelled\n", "# scored\n"};

// ---- remarks ----

// Sets that share a folder say the same of it.
static void add_remarks(bl_scene_sets *sets, const char *lines) {
    for (size_t length; *lines; lines += length) {
        bl_text line = {0};
        length = strcspn(lines, "\n") + 1;
        bl_text_add(&line, "%.*s", (int)length, lines);
        if (!sets->remarks.size || !strstr(sets->remarks.chars, line.chars)) bl_text_add(&sets->remarks, "%s", line.chars);
        bl_text_free(&line);
    }
}

static uint32_t classes_of(const bl_scenes *scenes) {
    uint32_t classes = 0;
    for (int64_t i = 0; i < bl_scenes_count(scenes); ++i) classes |= bl_scenes_classes(scenes, i);
    return classes;
}

static void remark_unknown(bl_scene_sets *sets) {
    const uint32_t unknown = classes_of(sets->of[BL_SCORED]) & ~classes_of(sets->of[BL_LABELLED]);
    bl_text names = {0};
    for (int c = 0; c < BL_SCENE_CLASSES; ++c)
        if (unknown >> c & 1) bl_text_add(&names, "%s%s", names.size ? ", " : "", bl_scene_classes[c].name);
    if (unknown) bl_text_add(&sets->remarks, "scored in val, and in no label map of train: %s\n", names.chars);
    bl_text_free(&names);
}

int bl_scene_sets_check_labels(bl_scene_sets *sets, bl_pool *pool) {
    for (int r = 0; r < BL_SCENE_ROLES; ++r) {
        if (!sets->of[r]) continue;
        if (bl_scenes_check_labels(sets->of[r], pool)) return BL_FAILED;
        add_remarks(sets, bl_scenes_remarks(sets->of[r]));
    }
    if (sets->of[BL_LABELLED] && sets->of[BL_SCORED]) remark_unknown(sets);
    return BL_OK;
}

// ---- opening ----

// The square must fit into every scene; the message says what would fit into all of them.
static int check_square(const bl_scenes *scenes, int crop) {
    int64_t smallest = 0;
    int side = BL_PNG_SIDE;
    for (int64_t i = 0; i < bl_scenes_count(scenes); ++i) {
        int width, height;
        bl_scenes_size(scenes, i, &width, &height);
        if (width >= side && height >= side) continue;
        side = width < height ? width : height;
        smallest = i;
    }
    if (side >= crop) return BL_OK;
    int width, height;
    bl_scenes_size(scenes, smallest, &width, &height);
    return bl_fail("%s: %d x %d pixels hold no square of %d: the largest crop that fits into every scene is %d; 0 takes whole scenes",
                   bl_scenes_name(scenes, smallest), width, height, crop, side);
}

static int open_set(bl_scene_sets *sets, bl_scene_role role, const bl_scene_sets_options *options) {
    static const unsigned splits[BL_SCENE_ROLES] = {[BL_LABELLED] = 1u << BL_SCENE_TRAIN, [BL_SCORED] = 1u << BL_SCENE_VAL};
    const int train = options->train > 0 ? options->train : DEFAULT_TRAIN, test = options->test > 0 ? options->test : DEFAULT_TEST;
    const bl_scenes_options wanted = {
        .format = options->format,
        .root = options->root,
        .splits = role == BL_UNLABELLED ? options->splits : splits[role],
        .labelled = role != BL_UNLABELLED,
        .seed = options->seed,
        .count = role == BL_SCORED ? test : train,
        .extra = options->extra,
        .width = options->width > 0 ? options->width : DEFAULT_WIDTH,
        .height = options->height > 0 ? options->height : DEFAULT_HEIGHT,
    };
    if (bl_scenes_open(&sets->of[role], &wanted)) return BL_FAILED;
    add_remarks(sets, bl_scenes_remarks(sets->of[role]));
    bl_text_add(&sets->files, "%s", headings[role]);
    return bl_scenes_list(sets->of[role], &sets->files);
}

int bl_scene_sets_open(bl_scene_sets *sets, const bl_scene_sets_options *options) {
    *sets = (bl_scene_sets){.crop = options->crop};
    if (!options->splits) return bl_fail("scenes: no split is named to train on: name train, train_extra or test");
    if (options->splits >> BL_SCENE_VAL & 1) return bl_fail("scenes: val is what is scored: name train, train_extra or test to train on");
    if (open_set(sets, BL_UNLABELLED, options) || check_square(sets->of[BL_UNLABELLED], options->crop)) return BL_FAILED;
    return options->labelled && (open_set(sets, BL_LABELLED, options) || open_set(sets, BL_SCORED, options)) ? BL_FAILED : BL_OK;
}

void bl_scene_sets_close(bl_scene_sets *sets) {
    for (int r = 0; r < BL_SCENE_ROLES; ++r) bl_scenes_close(sets->of[r]);
    bl_text_free(&sets->files);
    bl_text_free(&sets->remarks);
}

// ---- pictures ----

static int cut_square(const bl_scene *scene, int crop, bl_random *random, bl_picture *picture) {
    const size_t row = 3 * (size_t)crop;
    if (!picture->square && !(picture->square = bl_alloc(row * (size_t)crop))) return BL_FAILED;
    const size_t top = bl_random_below(random, (uint32_t)(scene->height - crop + 1));
    const size_t left = bl_random_below(random, (uint32_t)(scene->width - crop + 1));
    for (size_t y = 0; y < (size_t)crop; ++y)
        memcpy(picture->square + y * row, scene->pixels + 3 * ((top + y) * (size_t)scene->width + left), row);
    picture->pixels = picture->square;
    picture->width = picture->height = crop;
    return BL_OK;
}

int bl_scene_sets_picture(const bl_scene_sets *sets, bl_scene_role role, uint32_t index, uint64_t seed, uint32_t epoch, bl_picture *picture) {
    const bl_scenes *scenes = sets->of[role];
    bl_scene *scene = &picture->scene;
    if (bl_scenes_read(scenes, index, scene)) return BL_FAILED;
    if (sets->crop) {
        if (scene->width < sets->crop || scene->height < sets->crop) // of what is scored, which is not checked at opening
            return bl_fail("%s: %d x %d pixels hold no square of %d", bl_scenes_name(scenes, index), scene->width, scene->height, sets->crop);
        bl_random random = bl_random_stream(seed, "scene_square", index, epoch, 0);
        return cut_square(scene, sets->crop, &random, picture);
    }
    picture->pixels = scene->pixels;
    picture->width = scene->width;
    picture->height = scene->height;
    return BL_OK;
}

// ---- identity ----

// The part of a list below the heading of a set, up to the next one; NULL: that set is not in it.
static const char *section(const char *list, const char *heading, size_t *size) {
    const size_t length = strlen(heading);
    while (strncmp(list, heading, length)) {
        const char *next = strstr(list, "\n# ");
        if (!next) return NULL;
        list = next + 1;
    }
    const char *begin = list + length, *end = strstr(begin - 1, "\n# ");
    *size = end ? (size_t)(end + 1 - begin) : strlen(begin);
    return begin;
}

// *part: the lines of a role, to be freed. False: that set is not in the list.
static bool take_section(const char *list, bl_scene_role role, bl_text *part) {
    size_t size = 0;
    const char *begin = section(list, headings[role], &size);
    *part = (bl_text){0};
    bl_text_add(part, "%.*s", (int)size, begin ? begin : "");
    return begin;
}

// Sets with labels come and go with the rows that ask for them: they are compared where both have them.
int bl_scene_sets_compare(const bl_scene_sets *sets, const char *list) {
    int status = BL_OK;
    for (int r = 0; r < BL_SCENE_ROLES && !status; ++r) {
        bl_text was;
        const bool is_listed = take_section(list, (bl_scene_role)r, &was);
        if (sets->of[r] && (is_listed || r == BL_UNLABELLED)) status = bl_scenes_compare(sets->of[r], was.chars);
        bl_text_free(&was);
    }
    return status;
}

void bl_scene_sets_contents(const bl_scene_sets *sets, bl_text *list) {
    for (int r = 0; r < BL_SCENE_ROLES; ++r) {
        bl_text part = {0};
        if (sets->of[r]) bl_scenes_contents(sets->of[r], &part);
        if (part.size) bl_text_add(list, "%s%s", headings[r], part.chars);
        bl_text_free(&part);
    }
}

int bl_scene_sets_compare_contents(const bl_scene_sets *sets, const char *list, int64_t *unknown) {
    int status = BL_OK;
    for (int r = 0; r < BL_SCENE_ROLES && !status; ++r) {
        bl_text was;
        if (take_section(list, (bl_scene_role)r, &was) && sets->of[r]) status = bl_scenes_compare_contents(sets->of[r], was.chars, unknown);
        bl_text_free(&was);
    }
    return status;
}

int bl_scene_sets_read_files(const bl_scene_sets *sets, bl_pool *pool, bl_text *list) {
    for (int r = 0; r < BL_SCENE_ROLES; ++r) {
        if (!sets->of[r]) continue;
        bl_text_add(list, "%s", headings[r]);
        if (bl_scenes_read_files(sets->of[r], pool, list)) return BL_FAILED;
    }
    return BL_OK;
}

int bl_scene_sets_compare_part(const char *was, const char *now) {
    int status = BL_OK;
    for (int r = 0; r < BL_SCENE_ROLES && !status; ++r) {
        bl_text then, read;
        const bool was_there = take_section(was, (bl_scene_role)r, &then), is_there = take_section(now, (bl_scene_role)r, &read);
        if (was_there && is_there) status = bl_file_list_compare_part(then.chars, read.chars);
        bl_text_free(&then);
        bl_text_free(&read);
    }
    return status;
}
