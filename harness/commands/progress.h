// progress.h - shows a run's events: one bar on a terminal, plain lines elsewhere; measurements as they come. All on stderr.

#ifndef BL_COMMANDS_PROGRESS_H
#define BL_COMMANDS_PROGRESS_H

#include <stdio.h>

#include "run/trainer.h" // bl_event

typedef struct bl_progress_bar { // start from {0}
    bool is_terminal;
    bool line_open;     // a bar stands on the current line
    double last_drawn;  // seconds
    int last_percent;   // of plain lines, as the next
    bl_verdict last_verdict;
    char last_remarks[65]; // digest: runs of a study say the same of the same data
} bl_progress_bar;

bl_progress_bar bl_progress_bar_create(void);
void bl_progress_show(void *bar, const bl_event *event); // a bl_sink's function
void bl_progress_end(bl_progress_bar *bar);              // closes an open line

// "data: ..." for each line of what a data set says of itself (bl_dataset_remarks).
void bl_print_remarks(FILE *file, const char *remarks);

#endif
