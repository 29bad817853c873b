// scene_remarks.h - what is odd about a set of scenes and no fault: said, so that nobody takes the set for another one.

#ifndef BL_DATASETS_SCENE_REMARKS_H
#define BL_DATASETS_SCENE_REMARKS_H

#include "datasets/scenes/scene.h"

// Scenes that are one picture twice, and frames of one name in two cities. Fails where memory is short.
BL_CHECK int bl_remark_doubles(bl_scene_index *index);
// Of label maps that were looked at: those without a pixel of a class, those that look as if they held classes where label ids are, and
// those that look resized as pictures are.
void bl_remark_labels(bl_scene_index *index);

#endif
