// history_scenes.h - the looks and pictures of a history in a run file: /segmentation/look/* and /segmentation/picture/<n>/*. For history.c.

#ifndef BL_RECORD_HISTORY_FILE_H
#define BL_RECORD_HISTORY_FILE_H

#include "record/history.h"

// A history without any writes nothing, a file without any adds nothing.
BL_CHECK int bl_history_put_scenes(const bl_history *history, bl_run_writer *writer);
BL_CHECK int bl_history_get_scenes(bl_history *history, const bl_run_reader *reader);

#endif
