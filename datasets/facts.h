// facts.h - what is known of every data set before a file of it is opened.

#ifndef BL_DATASETS_FACTS_H
#define BL_DATASETS_FACTS_H

#include "datasets/images/images.h" // BL_IMAGE_SETS
#include "datasets/scenes/scene.h"  // BL_SCENE_SETS

// All of them, in the order in which they are listed: ROW(name, ...).
#define BL_DATASETS(ROW) BL_IMAGE_SETS(ROW) BL_SCENE_SETS(ROW)

typedef struct bl_dataset_facts {
    const char *name;
    int side;        // pixels a side of its images; 0: scenes are of any size
    int classes;
    int train, test; // images; 0: as many as the options say, or as the folder holds
    bool is_drawn;   // from a seed; else read from files
    bl_images_load *load;          // how images are read. NULL: these are scenes,
    const bl_scene_format *scenes; // which are read so
} bl_dataset_facts;

const bl_dataset_facts *bl_dataset_facts_at(int index);          // NULL behind the last
const bl_dataset_facts *bl_dataset_facts_of(const char *name); // NULL: no set is called so

#endif
