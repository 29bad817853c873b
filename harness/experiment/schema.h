// schema.h - one table of every key an experiment file may hold: it drives reading, checking, the resolved text and `check --schema`.

#ifndef BL_EXPERIMENT_SCHEMA_H
#define BL_EXPERIMENT_SCHEMA_H

#include <stddef.h>

#include "experiment/options.h"

// Which part of a run's identity a key belongs to.
typedef enum bl_key_class {
    BL_KEY_TRAIN,    // with the seed: the run's id
    BL_KEY_EVALUATE, // each row has an id of its own
    BL_KEY_MACHINE,  // recorded, not part of the id
    BL_KEY_REPORT,   // never repeats anything
} bl_key_class;

typedef enum bl_key_type {
    BL_TYPE_INT, BL_TYPE_INT64, BL_TYPE_UINT64, BL_TYPE_NUMBER, BL_TYPE_BOOL,
    BL_TYPE_TEXT,        // const char *; ${VARIABLE} is replaced
    BL_TYPE_INTERVAL,    // bl_interval: "300 s", or steps
    BL_TYPE_NAME,        // const char *, one of the choices
    BL_TYPE_CHOICE,      // an enum or int, by its choice's name
    BL_TYPE_CHOICE_BOOL, // bool, by its choice's name
    BL_TYPE_PAIR,        // double[2], low then high
    BL_TYPE_NUMBERS,     // list of double, ascending
    BL_TYPE_RATE,        // train.optimizer.lr: a number, or {value, per}: value * images of an update / per
    BL_TYPE_SPLITS,      // unsigned: a bit for each split of street scenes that is named
    BL_TYPE_EPOCHS,      // bl_epochs
    BL_TYPE_EPOCH_LIST,  // list of int, ascending
    BL_TYPE_SEEDS,       // list of uint64_t, each once
    BL_TYPE_NORMALIZE,   // bl_transform.mean and .std
    BL_TYPE_VIEW,        // bl_recipe: one entry like those below `views`, without normalize
    BL_TYPE_ARMS,        // list of bl_arm
    BL_TYPE_STRUCTURE,   // what the file is made of: read by hand (base, cells, sweep)
} bl_key_type;

typedef struct bl_choice {
    const char *name; // NULL ends the list
    int value;
} bl_choice;

// Whose field a key fills; `offset` counts from there.
typedef enum bl_key_owner { BL_OF_CELL, BL_OF_MACHINE, BL_OF_STUDY, BL_OF_TRANSFORM, BL_OF_EVALUATION, BL_OF_EXPECTATION } bl_key_owner;

#define BL_MAX_SHARES 16
#define BL_MAX_ARMS 8

// One entry under `evaluate:`, read, before it becomes a row for each arm and share: what BL_OF_EVALUATION's keys fill.
typedef struct bl_evaluation_entry {
    const bl_value *map;           // its keys as they are written; with those that follow from others
    bl_evaluation row;
    double shares[BL_MAX_SHARES]; // percent
    int share_count;
    bl_arm arms[BL_MAX_ARMS];
    int arm_count;
} bl_evaluation_entry;

typedef struct bl_key {
    const char *path;          // "method.target.tau"; "[]" stands for an entry of a list
    bl_key_owner owner;
    size_t offset;
    size_t count_offset;       // of a list: where it stands how many there are, an int
    int most;                  // and how many there may be
    bl_key_type type;
    const char *default_text;  // as in a file; NULL: must be written (where `when` holds)
    double low, high;          // numbers, both ends included
    const bl_choice *choices;
    bl_key_class key_class;
    const char *when;          // "method.target.source=ema|frozen": has a meaning only there, and where that key has one; NULL: always.
                               // "data.dataset=<drawn scenes>": a kind of data sets
    const char *meaning;
} bl_key;

extern const bl_key bl_schema[];
extern const int bl_schema_count;

const bl_key *bl_schema_find(const char *path); // NULL when absent
const char *bl_key_class_name(bl_key_class key_class);
void bl_key_when(const bl_key *key, bl_text *text);  // with the names of a kind written out; key->when is not NULL
void bl_key_range(const bl_key *key, bl_text *text); // "a whole number from 1 to 512", "ema | online | frozen"
void bl_schema_print(bl_text *text);                 // every key: type, default, range, class, one line of meaning

#endif
