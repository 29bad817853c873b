// The rooms as the sources are: every #include of the project, held against the one direction in which rooms may depend; no circle
// between files; each library in the one room that may know it; no file and no folder too large to find one's way in.

#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

enum { MOST_LINES = 600, MOST_STEMS = 20 };

// ---- what may see what ----

typedef struct room {
    const char *folder; // with its subfolders, but for those that are rooms themselves
    const char *sees;   // besides itself
} room;

static const room rooms[] = {
    {"harness/base", ""},
    {"harness/graph", "harness/base"},
    {"datasets", "harness/base"},
    {"backends", "harness/base harness/graph"},
    {"backends/onednn", "harness/base harness/graph backends"},
    {"backends/cudnn", "harness/base harness/graph backends"},
    {"harness/experiment", "harness/base harness/graph datasets"},
    {"harness/record", "harness/base harness/graph datasets backends harness/experiment"},
    {"harness/train", "harness/base harness/graph datasets backends harness/experiment harness/record"},
    {"harness/weights", "harness/base harness/graph datasets backends harness/experiment harness/record harness/train"},
    {"harness/protocols", "harness/base harness/graph datasets backends harness/experiment harness/record harness/train harness/weights"},
    {"harness/run", "harness/base harness/graph datasets backends harness/experiment harness/record harness/train harness/weights "
                    "harness/protocols"},
    {"harness/report", "harness/base datasets harness/experiment harness/record"},
    {"harness/inspect", "harness/base harness/graph datasets backends harness/experiment harness/record harness/train harness/weights "
                        "harness/protocols"},
    {"harness/commands", "harness/base harness/graph datasets backends harness/experiment harness/record harness/train harness/weights "
                         "harness/protocols harness/run harness/report harness/inspect"},
    {"harness", "harness/base harness/commands"},
};
enum { ROOMS = sizeof rooms / sizeof *rooms };

// A header that only some may name, by its beginning.
static const struct {
    const char *header, *folder;
} libraries[] = {
    {"hdf5", "harness/record"},   {"lapacke", "harness/train"},      {"csv.h", "harness/report"},      {"libfyaml", "harness/experiment"},
    {"spng", "datasets"},         {"oneapi/dnnl", "backends/onednn"}, {"omp.h", "backends/onednn"},     {"cuda", "backends/cudnn"},
    {"cudnn", "backends/cudnn"},  {"cublas", "backends/cudnn"},
};

// ---- reading a tree ----

typedef struct stem { // a .c or .cu and the header of its name
    char *path;       // "harness/base/memory"
    int *to;          // stems that it includes
    int count, capacity, mark;
} stem;

typedef struct tree {
    const char *root;
    stem *stems;
    int count, capacity;
    bl_text faults; // a line each
} tree;

static const room *room_of(const char *path) {
    const room *found = NULL;
    for (int i = 0; i < ROOMS; i++) {
        const size_t length = strlen(rooms[i].folder);
        if (!strncmp(path, rooms[i].folder, length) && path[length] == '/' && (!found || length > strlen(found->folder))) found = &rooms[i];
    }
    return found;
}

static bool sees(const room *from, const room *to) {
    const size_t length = strlen(to->folder);
    for (const char *word = from->sees; *word; word += strcspn(word, " "), word += *word == ' ')
        if (strcspn(word, " ") == length && !strncmp(word, to->folder, length)) return true;
    return from == to;
}

static bool ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), tail = strlen(ending);
    return length > tail && !strcmp(text + length - tail, ending);
}

static bool is_source(const char *name) {
    return ends_with(name, ".c") || ends_with(name, ".h") || ends_with(name, ".cu");
}

// Each once: a stem's .c and .h may have the same one.
static void add_fault(tree *t, const char *format, ...) {
    char *fault;
    va_list values;
    va_start(values, format);
    assert_true(vasprintf(&fault, format, values) >= 0);
    va_end(values);
    if (!strstr(t->faults.chars, fault)) bl_text_add(&t->faults, "%s\n", fault);
    free(fault);
}

static char *formatted(const char *format, const char *a, const char *b) {
    char *text;
    assert_true(asprintf(&text, format, a, b) >= 0);
    return text;
}

static int stem_at(tree *t, const char *path) {
    const int length = (int)(strrchr(path, '.') - path);
    for (int i = 0; i < t->count; i++)
        if ((int)strlen(t->stems[i].path) == length && !strncmp(t->stems[i].path, path, (size_t)length)) return i;
    assert_ok(bl_grow((void **)&t->stems, t->count, &t->capacity, sizeof *t->stems));
    t->stems[t->count] = (stem){0};
    assert_true(asprintf(&t->stems[t->count].path, "%.*s", length, path) > 0);
    return t->count++;
}

// Where the header lies, from the root: includes are written from harness/ or from the root. NULL: it is no file of ours.
static char *found_header(const tree *t, const char *name) {
    static const char *const from[] = {"harness/%s%s", "%s%s"};
    for (int i = 0; i < 2; i++) {
        char *path = formatted(from[i], name, ""), *whole = formatted("%s/%s", t->root, path);
        const bool is_there = bl_file_exists(whole);
        free(whole);
        if (is_there) return path;
        free(path);
    }
    return NULL;
}

static void judge_library(tree *t, const char *path, const char *header) {
    const room *mine = room_of(path);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
        if (!strncmp(header, libraries[i].header, strlen(libraries[i].header)) && strcmp(mine->folder, libraries[i].folder) != 0)
            add_fault(t, "%s: includes <%s>, which is %s's", path, header, libraries[i].folder);
}

static void judge_include(tree *t, const char *path, const char *name) {
    char *header = found_header(t, name);
    if (!header) {
        add_fault(t, "%s: includes \"%s\", which is not there", path, name);
        return;
    }
    const room *from = room_of(path), *to = room_of(header);
    if (!from || !to || !sees(from, to)) add_fault(t, "%s: may not include \"%s\"", path, name);
    const int a = stem_at(t, path), b = stem_at(t, header);
    stem *s = &t->stems[a];
    if (a != b) {
        assert_ok(bl_grow((void **)&s->to, s->count, &s->capacity, sizeof *s->to));
        s->to[s->count++] = b;
    }
    free(header);
}

static void read_source(tree *t, const char *path) {
    char *whole = formatted("%s/%s", t->root, path);
    void *text;
    size_t bytes;
    int lines = 0;
    assert_ok(bl_read_file(whole, &text, &bytes));
    stem_at(t, path);
    for (char *line = text, *end; *line; line = end, lines++) {
        char name[200], close;
        end = line + strcspn(line, "\n");
        end += *end == '\n';
        if (sscanf(line, " # include \"%199[^\"]%c", name, &close) == 2) {
            judge_library(t, path, name);
            if (strncmp(name, "oneapi/", 7) != 0) judge_include(t, path, name);
        } else if (sscanf(line, " # include <%199[^>]%c", name, &close) == 2) judge_library(t, path, name);
    }
    if (lines > MOST_LINES) add_fault(t, "%s: %d lines, more than %d", path, lines, MOST_LINES);
    bl_free(text);
    free(whole);
}

static void read_folder(tree *t, const char *folder) {
    char *whole = formatted("%s/%s", t->root, folder);
    DIR *entries = opendir(whole);
    int stems = 0;
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));) {
        char *path = formatted("%s/%s", folder, entry->d_name), *at = formatted("%s/%s", t->root, path);
        struct stat status;
        if (entry->d_name[0] != '.' && !stat(at, &status)) {
            if (S_ISDIR(status.st_mode)) read_folder(t, path);
            else if (is_source(entry->d_name)) read_source(t, path);
        }
        free(path);
        free(at);
    }
    closedir(entries);
    for (int i = 0; i < t->count; i++) {
        const size_t length = strlen(folder);
        const char *path = t->stems[i].path;
        stems += !strncmp(path, folder, length) && path[length] == '/' && !strchr(path + length + 1, '/');
    }
    if (stems > MOST_STEMS) add_fault(t, "%s: %d stems, more than %d", folder, stems, MOST_STEMS);
    free(whole);
}

// ---- circles ----

enum { NEW, OPEN, DONE };

// Depth first; an edge to what is still open closes a circle.
static void walk(tree *t, int at, bl_text *way) {
    stem *s = &t->stems[at];
    const size_t length = way->size;
    s->mark = OPEN;
    bl_text_add(way, "%s -> ", s->path);
    for (int i = 0; i < s->count; i++) {
        const stem *next = &t->stems[s->to[i]];
        if (next->mark == NEW) walk(t, s->to[i], way);
        else if (next->mark == OPEN) add_fault(t, "a circle: %s%s", strstr(way->chars, next->path), next->path);
    }
    way->size = length;
    way->chars[length] = 0;
    t->stems[at].mark = DONE;
}

static char *faults_of(const char *root) {
    static const char *const folders[] = {"harness", "backends", "datasets"};
    tree t = {.root = root};
    bl_text way = {0};
    bl_text_add(&t.faults, "%s", "");
    for (int i = 0; i < 3; i++) read_folder(&t, folders[i]);
    for (int i = 0; i < t.count; i++)
        if (t.stems[i].mark == NEW) walk(&t, i, &way);
    for (int i = 0; i < t.count; i++) {
        free(t.stems[i].path);
        bl_free(t.stems[i].to);
    }
    bl_free(t.stems);
    bl_text_free(&way);
    char *faults = formatted("%s%s", t.faults.chars, "");
    bl_text_free(&t.faults);
    return faults;
}

static void the_rooms_depend_in_one_direction_without_circles(void **state) {
    (void)state;
    char *faults = faults_of(bl_test_source());
    if (*faults) fail_msg("\n%s", faults);
    free(faults);
}

// ---- and what it finds ----

static char *folder; // of a made-up tree

static void put(const char *path, const char *text) {
    char *whole = formatted("%s/%s", folder, path), *slash = strrchr(whole, '/');
    *slash = 0;
    assert_ok(bl_make_folders(whole));
    *slash = '/';
    assert_ok(bl_atomic_write(whole, text, strlen(text)));
    free(whole);
}

static void each_fault_of_a_tree_is_named(void **state) {
    (void)state;
    static const struct {
        const char *path, *text, *fault;
    } cases[] = {
        {"harness/base/low.c", "#include \"graph/high.h\"\n", "harness/base/low.c: may not include \"graph/high.h\""},
        {"harness/report/rows.c", "#include \"train/loop.h\"\n", "harness/report/rows.c: may not include \"train/loop.h\""},
        {"backends/onednn/plan.c", "#include \"backends/cudnn/gpu.h\"\n", "backends/onednn/plan.c: may not include"},
        {"harness/train/fit.c", "#include <hdf5.h>\n", "harness/train/fit.c: includes <hdf5.h>, which is harness/record's"},
        {"harness/graph/lost.c", "#include \"graph/absent.h\"\n", "harness/graph/lost.c: includes \"graph/absent.h\", which is not there"},
        {"harness/graph/a.c", "#include \"graph/b.h\"\n", "a circle: "},
    };
    folder = bl_test_folder();
    put("harness/graph/high.h", "");
    put("harness/graph/a.h", "");
    put("harness/graph/b.h", "#include \"graph/a.h\"\n");
    put("harness/train/loop.h", "");
    put("backends/cudnn/gpu.h", "");
    put("datasets/dataset.h", "");
    char *none = faults_of(folder);
    assert_string_equal(none, "");
    free(none);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].path, cases[i].text);
        char *faults = faults_of(folder);
        if (!strstr(faults, cases[i].fault)) fail_msg("%s: not found; only:\n%s", cases[i].fault, faults);
        free(faults);
        put(cases[i].path, "");
    }
    bl_text many = {0};
    for (int i = 0; i <= MOST_LINES; i++) bl_text_add(&many, "//\n");
    put("harness/base/long.c", many.chars);
    bl_text_free(&many);
    for (int i = 0; i <= MOST_STEMS; i++) {
        char name[64];
        snprintf(name, sizeof name, "datasets/many/d%d.c", i);
        put(name, "");
    }
    char *faults = faults_of(folder);
    assert_non_null(strstr(faults, "harness/base/long.c: 601 lines, more than 600"));
    assert_non_null(strstr(faults, "datasets/many: 21 stems, more than 20"));
    free(faults);
    bl_test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rooms_depend_in_one_direction_without_circles),
        cmocka_unit_test(each_fault_of_a_tree_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
