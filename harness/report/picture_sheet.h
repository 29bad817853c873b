// picture_sheet.h - what the arms of a study predict in the same scenes, side by side.

#ifndef BL_REPORT_PICTURE_SHEET_H
#define BL_REPORT_PICTURE_SHEET_H

#include "report/study.h"

// One row a scene; columns: image, ground truth, the prediction of each arm of each cell, of the first seed that has pictures.
// Classes have Cityscapes' colours, named below; ignored pixels are black. Writes a PNG, and says in `caption` which scenes these are
// (Markdown). *written is false, without failure, where no run has pictures.
BL_CHECK int bl_picture_sheet_write(const bl_study *study, const char *path, bl_text *caption, bool *written);

#endif
