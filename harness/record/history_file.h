// history_file.h - a history in a run file: /step/*, /evaluation/*, /collapse/*, /segmentation/look/* and /segmentation/picture/<n>/*.

#ifndef BL_RECORD_HISTORY_FILE_H
#define BL_RECORD_HISTORY_FILE_H

#include "record/container.h" // bl_container_writer, bl_container_reader
#include "record/history.h"

// A history without looks and pictures writes none of them.
BL_CHECK int bl_history_put(const bl_history *history, bl_container_writer *writer);
// Adds what the file holds. Files of earlier versions lack some of it: that stays empty, a number of theirs NaN.
BL_CHECK int bl_history_get(bl_history *history, const bl_container_reader *reader);
// Whether what it tells of lies within a run of so many epochs and steps (0: not known); `reader` is named where it does not.
BL_CHECK int bl_history_check(const bl_history *history, const bl_container_reader *reader, int epochs, int64_t steps);

#endif
