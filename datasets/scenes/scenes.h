// scenes.h - a set of street scenes with label maps: large images of any size, decoded when they are wanted.
//
// Opening a set lists its scenes and looks at the ends of every file: a missing partner, another size, a truncated file or one of
// another kind is named before anything is trained. Pixels and ids are checked as they are decoded, and those of every label map at
// once by bl_scenes_check_labels. A set is read-only after opening and may be read from any thread.
//
// Files are decoded each time, and each time compared with what they were.

#ifndef BL_DATASETS_SCENES_H
#define BL_DATASETS_SCENES_H

#include "base/threads.h" // bl_pool
#include "datasets/scenes/scene.h"

typedef struct bl_scenes bl_scenes;
BL_CHECK int bl_scenes_open(bl_scenes **scenes, const bl_scenes_options *options);
void bl_scenes_close(bl_scenes *scenes);

// Scenes come in the order of their names: split, city, frame.
int64_t bl_scenes_count(const bl_scenes *scenes);
const char *bl_scenes_name(const bl_scenes *scenes, int64_t index); // "train/aachen/aachen_000000_000019"
void bl_scenes_size(const bl_scenes *scenes, int64_t index, int *width, int *height);

BL_CHECK int bl_scenes_read(const bl_scenes *scenes, int64_t index, bl_scene *scene);

// Decodes every label map: the first one that is damaged, holds an unknown id or says other than the one beside it is named, and a set
// without a pixel of a class is refused. Before other threads read the set.
BL_CHECK int bl_scenes_check_labels(bl_scenes *scenes, bl_pool *pool);
// The classes of a scene's pixels, bit c of class c, once they were checked. Drawn ones are not looked at: all.
uint32_t bl_scenes_classes(const bl_scenes *scenes, int64_t index);

// What nobody would notice of itself, a line each, or "": files that were passed over, doubles, label maps without a label. Borrowed.
const char *bl_scenes_remarks(const bl_scenes *scenes);

// What the set is: a line a file with its name, length and fingerprint, the same wherever the folder lies; and the SHA-256 of these
// lines. A run keeps both: bl_scenes_compare names the first file that is not as it was.
BL_CHECK int bl_scenes_list(const bl_scenes *scenes, bl_text *list);
BL_CHECK int bl_scenes_digest(const bl_scenes *scenes, char out[65]);
BL_CHECK int bl_scenes_compare(const bl_scenes *scenes, const char *list);
// The SHA-256 of every file whose contents are known (base/contents.h), as those are that were read: lines of datasets/file_list.h. Compared
// with such a list once bl_scenes_compare has found the files alike: fails naming the first file that holds another thing; *unknown grows by
// those of the list of which it is not known.
void bl_scenes_contents(const bl_scenes *scenes, bl_text *list);
BL_CHECK int bl_scenes_compare_contents(const bl_scenes *scenes, const char *list, int64_t *unknown);
// The same of every file, read now, whatever is known of it.
BL_CHECK int bl_scenes_read_files(const bl_scenes *scenes, bl_pool *pool, bl_text *list);

#endif
