// protocol_facts.h - what is to be known of each protocol without running it: a row each.
//
// A new protocol is a name in BL_PROTOCOLS and a row here, its keys in the schema (and their fields in options.h), and a file in
// protocols/; what its keys contradict, where they do, is a function in contradictions_evaluations.c.

#ifndef BL_EXPERIMENT_PROTOCOL_FACTS_H
#define BL_EXPERIMENT_PROTOCOL_FACTS_H

#include "experiment/options.h"

typedef struct bl_protocol_facts {
    const char *name;    // its key below `evaluate:`, and what its rows' names begin with
    const char *in_id;   // what the text behind its rows' ids begins with
    bool has_shares;     // learns from a share of the labels: fit
    bool has_arms;       // starts from fit.arm, and once: after training
    bool of_scenes;      // asks about scenes, which have a label a pixel; else about images
    const char *title;   // in figures and tables: "linear evaluation"
    const char *axis;    // of a curve: "linear accuracy (%)"
    const char *measure; // "accuracy", "mIoU"
    // Where rows differ by more than arm, share and split; NULL: they don't.
    const char *(*variant)(const bl_evaluation *row);                // "augmented"; "" for the usual one
    void (*add_name)(const bl_evaluation *row, bl_text *text);       // instead of name and variant: "pixels/k5"
    void (*add_full_title)(const bl_evaluation *row, bl_text *text); // instead of all that bl_evaluation_title says
} bl_protocol_facts;

const bl_protocol_facts *bl_protocol_facts_of(bl_protocol_kind kind);
const bl_protocol_facts *bl_protocol_facts_find(const char *name); // NULL: there is none
bl_protocol_kind bl_protocol_kind_of(const bl_protocol_facts *facts);

const char *bl_evaluation_split(const bl_evaluation *row);             // that is asked about: "test"; of scenes "val"
void bl_evaluation_name(const bl_evaluation *row, bl_text *text);      // "knn/k1_cv/test", "finetune/random/10%/test"
void bl_evaluation_kind_title(const bl_evaluation *row, bl_text *text); // "linear evaluation, augmented"
const char *bl_evaluation_mark(const bl_evaluation *row);              // behind a name, of what was looked at too early: " (monitored)"
void bl_evaluation_title(const bl_evaluation *row, bl_text *text);     // and of which arm, share and split

#endif
