#include "datasets/scenes/scene_tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/scenes/scene.h" // bl_scene_split_name

enum { NAMED = 3 }; // of what is passed over

typedef struct passed { // what is passed over in a split
    int count;
    bl_text names;
} passed;

typedef struct walk {
    const bl_scene_tree *tree;
    const bl_tree_visitor *visitor;
    bl_arena *arena;
    passed others, clutter;
} walk;

bool bl_name_ends(const char *name, const char *end) {
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && !strcmp(name + length - tail, end);
}

// ---- looking ----

// What file managers, file servers and archivers leave behind.
static bool is_clutter(const char *name) {
    static const char *const known[] = {"Thumbs.db",   "ehthumbs.db", "desktop.ini",  "@eaDir", "#recycle", "$RECYCLE.BIN",
                                        "lost+found", "__MACOSX",    "System Volume Information"};
    if (*name == '.') return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (!strcasecmp(name, known[i])) return true;
    return false;
}

static int refuse_link(const char *path) {
    char target[PATH_MAX];
    const ssize_t length = readlink(path, target, sizeof target);
    return bl_fail("%s: a link to %.*s, where nothing is: put back what it leads to, or take the link away", path,
                   length < 0 ? 0 : (int)length, target);
}

static int look(const char *path, struct stat *facts) {
    struct stat link;
    if (!stat(path, facts)) return BL_OK;
    const int problem = errno;
    if ((problem == ENOENT || problem == ELOOP) && !lstat(path, &link) && S_ISLNK(link.st_mode)) return refuse_link(path);
    return bl_fail("%s: cannot be looked at: %s", path, strerror(problem));
}

int bl_look_for_folder(const char *path, bool *is_there) {
    struct stat facts;
    *is_there = false;
    if (lstat(path, &facts) && (errno == ENOENT || errno == ENOTDIR)) return BL_OK;
    if (look(path, &facts)) return BL_FAILED;
    *is_there = S_ISDIR(facts.st_mode);
    return BL_OK;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// The names in `folder`, sorted; owned by the arena but for *names (bl_free).
static int list_folder(const char *folder, bl_arena *arena, char ***names, int *count) {
    int status = BL_FAILED, capacity = 0;
    *names = NULL;
    *count = 0;
    DIR *directory = opendir(folder);
    if (!directory) return bl_fail("%s: cannot read the folder: %s", folder, strerror(errno));
    for (struct dirent *entry; errno = 0, entry = readdir(directory);) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (bl_grow((void **)names, *count, &capacity, sizeof **names)) goto done;
        (*names)[(*count)++] = bl_arena_copy(arena, entry->d_name);
    }
    if (errno) {
        bl_fail("%s: cannot read the folder: %s", folder, strerror(errno));
        goto done;
    }
    if (*count) qsort(*names, (size_t)*count, sizeof **names, compare_names);
    status = BL_OK;
done:
    closedir(directory);
    if (status) {
        bl_free(*names);
        *names = NULL;
    }
    return status;
}

// ---- judging ----

static void pass_over(passed *what, const char *below, const char *name, bool is_folder) {
    if (what->count++ < NAMED)
        bl_text_add(&what->names, "%s%s%s%s%s", what->count > 1 ? ", " : "", below, *below ? "/" : "", name, is_folder ? "/" : "");
}

static bool looks_meant(const walk *w, const char *name) {
    const bl_tree_file kind = w->tree->kind(name);
    return kind == BL_TREE_TAKEN || kind == BL_TREE_ALIKE;
}

static int refuse_place(const walk *w, const char *path) {
    return bl_fail("%s: it lies where it would be left out: %s: move it, or take it away", path, w->tree->rule);
}

// A folder where there should be none. What looks meant in it is refused; links to folders are not followed.
static int look_below(const walk *w, const char *folder) {
    char **names;
    int count, status = BL_OK;
    if (list_folder(folder, w->arena, &names, &count)) return BL_FAILED;
    for (int i = 0; i < count && !status; ++i) {
        const char *path = bl_arena_format(w->arena, "%s/%s", folder, names[i]);
        struct stat facts;
        if (is_clutter(names[i])) continue;
        if (lstat(path, &facts)) status = bl_fail("%s: cannot be looked at: %s", path, strerror(errno));
        else if (S_ISDIR(facts.st_mode)) status = look_below(w, path);
        else if (looks_meant(w, names[i])) status = refuse_place(w, path);
    }
    bl_free(names);
    return status;
}

static bool is_split(const char *name) {
    for (int s = 0; s < BL_SCENE_SPLITS; ++s)
        if (!strcmp(name, bl_scene_split_name((bl_scene_split)s))) return true;
    return false;
}

typedef int (*folder_task)(walk *w, const char *folder, const char *name);

// The entries of a folder that holds folders; `task` NULL: they are splits, and those of other names are none of ours. A file among
// them has no place there.
static int walk_folders(walk *w, const char *folder, folder_task task) {
    char **names;
    int count, status = BL_OK;
    if (list_folder(folder, w->arena, &names, &count)) return BL_FAILED;
    for (int i = 0; i < count && !status; ++i) {
        const char *path = bl_arena_format(w->arena, "%s/%s", folder, names[i]);
        struct stat facts;
        if (!task && is_split(names[i])) continue;
        if (is_clutter(names[i])) pass_over(&w->clutter, "", names[i], false);
        else if (look(path, &facts)) status = BL_FAILED;
        else if (S_ISDIR(facts.st_mode) && task) status = task(w, path, names[i]);
        else if (S_ISDIR(facts.st_mode)) pass_over(&w->others, "", names[i], true);
        else if (looks_meant(w, names[i])) status = refuse_place(w, path);
        else pass_over(&w->others, "", names[i], false);
    }
    bl_free(names);
    return status;
}

static int walk_file(walk *w, const char *city, const char *path, const char *name, bool is_regular) {
    const bl_tree_file kind = w->tree->kind(name);
    if (kind == BL_TREE_ALIKE) return bl_fail("%s: it would be left out: %s: rename or convert it, or take it away", path, w->tree->rule);
    if (kind == BL_TREE_TAKEN && !is_regular) return bl_fail("%s: not a regular file", path);
    if (kind == BL_TREE_TAKEN) return w->visitor->take(w->visitor->context, city, name);
    if (kind == BL_TREE_OTHER) pass_over(&w->others, city, name, false);
    return BL_OK;
}

static int walk_city(walk *w, const char *folder, const char *city) {
    char **names;
    int count, status = BL_OK;
    if (list_folder(folder, w->arena, &names, &count)) return BL_FAILED;
    if (!count) pass_over(&w->others, "", city, true);
    for (int i = 0; i < count && !status; ++i) {
        const char *path = bl_arena_format(w->arena, "%s/%s", folder, names[i]);
        struct stat facts;
        if (is_clutter(names[i])) {
            pass_over(&w->clutter, city, names[i], false);
        } else if (look(path, &facts)) {
            status = BL_FAILED;
        } else if (S_ISDIR(facts.st_mode)) {
            status = look_below(w, path);
            pass_over(&w->others, city, names[i], true);
        } else {
            status = walk_file(w, city, path, names[i], S_ISREG(facts.st_mode));
        }
    }
    bl_free(names);
    return status;
}

// ---- saying ----

// "leftImg8bit/train: passed over: 2 files that are no scenes (README.txt, aa/README.txt) and 1 of other programs (.DS_Store)"
static void remark(walk *w, const char *place, bl_text *remarks) {
    bl_text line = {0};
    const passed *kinds[2] = {&w->others, &w->clutter};
    static const char *const words[2] = {"that are no scenes", "of other programs"};
    for (int k = 0; k < 2; ++k) {
        if (!kinds[k]->count) continue;
        if (!line.size) bl_text_add(&line, "%s: passed over: ", place);
        else bl_text_add(&line, " and ");
        bl_text_add(&line, "%d file%s or folder%s %s (%s%s)", kinds[k]->count, bl_plural(kinds[k]->count), bl_plural(kinds[k]->count),
                    k || kinds[k]->count > 1 ? words[k] : "that is no scene", kinds[k]->names.chars, kinds[k]->count > NAMED ? ", ..." : "");
    }
    if (line.size && (!remarks->size || !strstr(remarks->chars, line.chars))) bl_text_add(remarks, "%s\n", line.chars);
    bl_text_free(&line);
}

static void forget(walk *w) {
    bl_text_free(&w->others.names);
    bl_text_free(&w->clutter.names);
    w->others = w->clutter = (passed){0};
}

static int walk_split(walk *w, const char *root, const char *split, bl_text *remarks) {
    const char *top = bl_arena_format(w->arena, "%s/%s", root, w->tree->folder), *folder = bl_arena_format(w->arena, "%s/%s", top, split);
    if (walk_folders(w, top, NULL)) return BL_FAILED;
    remark(w, w->tree->folder, remarks);
    forget(w);
    if (walk_folders(w, folder, walk_city)) return BL_FAILED;
    remark(w, bl_arena_format(w->arena, "%s/%s", w->tree->folder, split), remarks);
    return BL_OK;
}

int bl_scene_tree_walk(const bl_scene_tree *tree, const char *root, const char *split, const bl_tree_visitor *visitor, bl_text *remarks) {
    walk w = {.tree = tree, .visitor = visitor, .arena = bl_arena_create()};
    const int status = walk_split(&w, root, split, remarks);
    forget(&w);
    bl_arena_free(w.arena);
    return status;
}
