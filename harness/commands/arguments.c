#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"

// Whether `name` stands in the list; *takes_value says how.
static bool is_listed(const char *list, const char *name, bool *takes_value) {
    const size_t size = strlen(name);
    for (const char *word = list; *word;) {
        word += strspn(word, " ");
        const size_t length = strcspn(word, " ");
        *takes_value = length && word[length - 1] != '!';
        if (size && length - !*takes_value == size && !strncmp(word, name, size)) return true;
        word += length;
    }
    return false;
}

void bl_print_common_options(const char *options) {
    static const char *const common[][2] = {
            {"set", "  --set KEY=VALUE     overrides a key of the file, as often as needed (train.epochs=5)"},
            {"seeds", "  --seeds LIST        the seeds to use (0 or 0,1,2)"},
            {"backend", "  --backend NAME      onednn (CPU), cudnn (NVIDIA GPU) or reference (slow, exact)"},
            {"cell", "  --cell NAME         only this cell of the study"},
            {"results", "  --results FOLDER    where runs lie (default: results)"},
    };
    bool takes_value;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (is_listed(options, common[i][0], &takes_value)) puts(common[i][1]);
}

static int add_override(bl_arguments *a, const char *key, const char *value) {
    if (a->override_count == 64) return bl_fail("more than 64 overrides on one command line");
    a->overrides[a->override_count++] = (bl_override){key, value};
    return BL_OK;
}

static int take_option(bl_arguments *a, const char *name, char *value) {
    if (!strcmp(name, "set")) {
        char *equals = strchr(value, '=');
        if (!equals || equals == value) return bl_fail("--set %s: write --set key=value, for example --set train.epochs=5", value);
        *equals = '\0';
        return add_override(a, value, equals + 1);
    }
    if (!strcmp(name, "seeds")) {
        if (snprintf(a->seeds, sizeof a->seeds, "[%s]", value) >= (int)sizeof a->seeds) return bl_fail("--seeds: the list is too long");
        return add_override(a, "train.seeds", a->seeds);
    }
    if (!strcmp(name, "backend")) return add_override(a, "machine.backend", value);
    if (!strcmp(name, "results")) return a->results = value, BL_OK;
    if (!strcmp(name, "cell")) return a->cell = value, BL_OK;
    if (a->option_count == 16) return bl_fail("more than 16 options on one command line");
    a->options[a->option_count][0] = name;
    a->options[a->option_count++][1] = value;
    return BL_OK;
}

int bl_arguments_parse(bl_arguments *a, int argc, char **argv, const char *options) {
    *a = (bl_arguments){.results = "results"};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (!a->file) a->file = argv[i];
            else return bl_fail("%s: one word too many after %s; --help lists what it takes", argv[i], a->file);
            continue;
        }
        char *name = argv[i] + 2, *equals = strchr(name, '='), *value = NULL;
        bool takes_value;
        if (equals) *equals = '\0';
        if (!is_listed(options, name, &takes_value)) return bl_fail("no such option --%s; --help lists them", name);
        if (!takes_value) {
            if (equals) return bl_fail("--%s takes no value", name);
            value = "";
        } else if (equals) {
            value = equals + 1;
        } else if (i + 1 < argc) {
            value = argv[++i];
        } else {
            return bl_fail("--%s: a value is missing", name);
        }
        if (take_option(a, name, value)) return BL_FAILED;
    }
    return BL_OK;
}

const char *bl_arguments_option(const bl_arguments *a, const char *name, const char *otherwise) {
    for (int i = 0; i < a->option_count; i++)
        if (!strcmp(a->options[i][0], name)) return a->options[i][1];
    return otherwise;
}

int bl_arguments_count(const bl_arguments *a, const char *name, int otherwise, int *value) {
    const char *text = bl_arguments_option(a, name, NULL);
    char *end;
    *value = otherwise;
    if (!text) return BL_OK;
    const long count = strtol(text, &end, 10);
    if (*end || end == text || count < 1 || count > 1000000) return bl_fail("--%s %s: write a whole number from 1 to 1000000", name, text);
    *value = (int)count;
    return BL_OK;
}

int bl_arguments_read(const bl_arguments *a, bl_experiment **experiment) {
    if (!a->file) return bl_fail("an experiment file is missing, for example experiments/shapes/quickstart.yaml");
    return bl_experiment_read(experiment, a->file, a->overrides, a->override_count);
}

int bl_arguments_cell(const bl_arguments *a, const bl_experiment *experiment, const bl_cell **cell) {
    *cell = &experiment->cells[0];
    if (!a->cell) return BL_OK;
    for (int i = 0; i < experiment->cell_count; i++)
        if (!strcmp(experiment->cells[i].name, a->cell)) {
            *cell = &experiment->cells[i];
            return BL_OK;
        }
    bl_text names = {0};
    for (int i = 0; i < experiment->cell_count; i++) bl_text_add(&names, "%s%s", i ? ", " : "", experiment->cells[i].name);
    const int status = bl_fail("--cell %s: the study has %s", a->cell, names.chars);
    bl_text_free(&names);
    return status;
}
