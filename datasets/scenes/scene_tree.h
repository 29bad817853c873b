// scene_tree.h - a tree of a folder of scenes, <root>/<tree>/<split>/<city>/<file>, walked so that nothing in it is left out in silence.
//
// What cannot be read is not absent: it is refused by name, a link that leads nowhere too. So is what looks like a file of the tree and
// would be left out: one of another extension, in other letters or at another place. All else is passed over, and said.

#ifndef BL_DATASETS_SCENE_TREE_H
#define BL_DATASETS_SCENE_TREE_H

#include <stdbool.h>

#include "base/error.h"  // BL_CHECK
#include "base/memory.h" // bl_arena, bl_text

typedef enum bl_tree_file {
    BL_TREE_OTHER,   // passed over and said
    BL_TREE_TAKEN,   // what the tree is for
    BL_TREE_PARTNER, // belongs to the tree; nothing here reads it
    BL_TREE_ALIKE,   // would be left out, and looks as if that were not meant
} bl_tree_file;

typedef struct bl_scene_tree {
    const char *folder; // "leftImg8bit"
    const char *rule;   // what its files are called: "images are <city>/..._leftImg8bit.png"
    bl_tree_file (*kind)(const char *name);
} bl_scene_tree;

typedef struct bl_tree_visitor {
    void *context;
    int (*take)(void *context, const char *city, const char *file); // in the order of their names
} bl_tree_visitor;

// Every file of a split that is taken. `remarks` gains a line a folder of what was passed over, unless it has that line.
BL_CHECK int bl_scene_tree_walk(const bl_scene_tree *tree, const char *root, const char *split, const bl_tree_visitor *visitor,
                                bl_text *remarks);

// *is_there false: nothing is there, or no folder. A link to nowhere and what cannot be looked at fail.
BL_CHECK int bl_look_for_folder(const char *path, bool *is_there);

// Whether a name ends by `end` and has something before it.
bool bl_name_ends(const char *name, const char *end);

#endif
