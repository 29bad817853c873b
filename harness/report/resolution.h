// resolution.h - which differences a study's seeds can see, from how far the pairs of a pilot spread.

#ifndef BL_REPORT_RESOLUTION_H
#define BL_REPORT_RESOLUTION_H

#include "report/study.h"

// A table for a terminal: each pair of cells in each row at the last epoch that both measured, and each pair of arms at each share, that two
// seeds of the pilot or more have: the sd of the paired differences, which difference `seeds` resolve (bl_resolution), and how many
// resolve `points`.
void bl_resolution_table(const bl_study *pilot, int seeds, double points, bl_text *out);

#endif
