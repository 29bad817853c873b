#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/command.h"
#include "experiment/key_values.h" // bl_nearest_name

static bool misused;

int bl_misused(int status) {
    misused = misused || status;
    return status;
}

bool bl_is_misused(void) { return misused; }

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
            {"set", "  --set KEY=VALUE     a line over the file, as often as needed (train.epochs=5, cells.NAME.train.epochs=5)"},
            {"seeds", "  --seeds LIST        the seeds to use (0 or 0,1,2)"},
            {"backend", "  --backend NAME      onednn (CPU), cudnn (NVIDIA GPU) or reference (slow, exact)"},
            {"cell", "  --cell NAME         only this cell of the study"},
            {"results", "  --results FOLDER    where runs lie (default: results)"},
    };
    bool takes_value;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (is_listed(options, common[i][0], &takes_value)) puts(common[i][1]);
}

int bl_refuse_word(const char *kind, const char *name, const char *const *names, int count) {
    const char *near = bl_nearest_name(name, names, count);
    if (near) return bl_misused(bl_fail("no such %s%s; did you mean %s?", kind, name, near));
    return bl_misused(bl_fail("no such %s%s; --help lists what there is", kind, name));
}

static int refuse_option(const char *list, const char *option) {
    const char *names[32];
    int count = 0;
    bl_arena *arena = bl_arena_create();
    for (const char *word = list + strspn(list, " "); *word && count < 32; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        names[count++] = bl_arena_format(arena, "--%.*s", (int)(length - (word[length - 1] == '!')), word);
        word += length;
    }
    const int status = bl_refuse_word("option ", option, names, count);
    bl_arena_free(arena);
    return status;
}

// One key has one value, as in a file. Where both are the same nothing is lost.
static int add_override(bl_arguments *a, const char *key, const char *value) {
    for (int i = 0; i < a->override_count; i++)
        if (!strcmp(a->overrides[i].key, key) && strcmp(a->overrides[i].value, value) != 0)
            return bl_misused(bl_fail("%s is set twice: to %s and to %s; write one of them", key, a->overrides[i].value, value));
    if (a->override_count == 64) return bl_misused(bl_fail("more than 64 overrides on one command line"));
    a->overrides[a->override_count++] = (bl_override){key, value};
    return BL_OK;
}

static int add_set(bl_arguments *a, char *text) {
    char *equals = strchr(text, '=');
    if (!equals || equals == text) return bl_misused(bl_fail("--set %s: write --set key=value, for example --set train.epochs=5", text));
    if (!equals[1]) return bl_misused(bl_fail("--set %s: a value is missing; `null` takes the file's own back", text));
    *equals = '\0';
    return add_override(a, text, equals + 1);
}

static int add_seeds(bl_arguments *a, const char *list) {
    if (list[strspn(list, "0123456789, ")]) return bl_misused(bl_fail("--seeds %s: write whole numbers, for example 0 or 0,1,2", list));
    if (snprintf(a->seeds, sizeof a->seeds, "[%s]", list) >= (int)sizeof a->seeds) return bl_misused(bl_fail("--seeds: the list is too long"));
    return add_override(a, "train.seeds", a->seeds);
}

static int add_option(bl_arguments *a, const char *name, const char *value) {
    for (int i = 0; i < a->option_count; i++)
        if (!strcmp(a->options[i][0], name) && strcmp(a->options[i][1], value) != 0)
            return bl_misused(bl_fail("--%s is given twice: %s and %s; write one of them", name, a->options[i][1], value));
    if (a->option_count == 16) return bl_misused(bl_fail("more than 16 options on one command line"));
    a->options[a->option_count][0] = name;
    a->options[a->option_count++][1] = value;
    return BL_OK;
}

static int set_results(bl_arguments *a, const char *folder) {
    struct stat facts;
    a->results = folder;
    if (stat(folder, &facts) || S_ISDIR(facts.st_mode)) return BL_OK; // what is not there is made, by who writes
    return bl_fail("--results %s: it is a file, where runs lie in a folder", folder);
}

static int take_option(bl_arguments *a, const char *name, char *value) {
    if (!strcmp(name, "set")) return add_set(a, value);
    if (add_option(a, name, value)) return BL_FAILED;
    if (!strcmp(name, "seeds")) return add_seeds(a, value);
    if (!strcmp(name, "backend")) return add_override(a, "machine.backend", value);
    if (!strcmp(name, "results")) return set_results(a, value);
    if (!strcmp(name, "cell")) a->cell = value;
    return BL_OK;
}

// The value of the option at argv[*i]: behind its sign of equality, or the next word. `equals` is NULL where there is none.
static int value_of(const char *name, bool takes_value, char *equals, int argc, char **argv, int *i, char **value) {
    static char none[] = "";
    *value = none;
    if (!takes_value) return equals ? bl_misused(bl_fail("--%s takes no value", name)) : BL_OK;
    if (equals) *value = equals + 1;
    else if (*i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0) *value = argv[++*i];
    return **value ? BL_OK : bl_misused(bl_fail("--%s: a value is missing", name));
}

int bl_arguments_parse(bl_arguments *a, int argc, char **argv, const char *options) {
    *a = (bl_arguments){.results = "results"};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (!*argv[i]) return bl_misused(bl_fail("an empty word where a file is expected"));
            if (a->file) return bl_misused(bl_fail("%s: one word too many after %s; --help lists what it takes", argv[i], a->file));
            a->file = argv[i];
            continue;
        }
        const bool is_long = argv[i][1] == '-';
        char *name = argv[i] + 2, *equals = is_long ? strchr(name, '=') : NULL, *value;
        bool takes_value;
        if (equals) *equals = '\0';
        if (!is_long || !is_listed(options, name, &takes_value)) return refuse_option(options, argv[i]);
        if (value_of(name, takes_value, equals, argc, argv, &i, &value) || take_option(a, name, value)) return BL_FAILED;
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
    if (*end || end == text || count < 1 || count > 1000000)
        return bl_misused(bl_fail("--%s %s: write a whole number from 1 to 1000000", name, text));
    *value = (int)count;
    return BL_OK;
}

static int needs_file(const bl_arguments *a) {
    return a->file ? BL_OK : bl_misused(bl_fail("an experiment file is missing, for example experiments/shapes/quickstart.yaml"));
}

int bl_arguments_read(const bl_arguments *a, bl_experiment **experiment) {
    return needs_file(a) || bl_experiment_read(experiment, a->file, a->overrides, a->override_count) ? BL_FAILED : BL_OK;
}

int bl_arguments_read_elsewhere(const bl_arguments *a, bl_experiment **experiment) {
    return needs_file(a) || bl_experiment_read_elsewhere(experiment, a->file, a->overrides, a->override_count) ? BL_FAILED : BL_OK;
}

int bl_arguments_cell(const bl_arguments *a, const bl_experiment *experiment, const bl_cell **cell) {
    *cell = &experiment->cells[0];
    if (!a->cell) return BL_OK;
    for (int i = 0; i < experiment->cell_count; i++)
        if (!strcmp(experiment->cells[i].name, a->cell)) {
            *cell = &experiment->cells[i];
            return BL_OK;
        }
    for (int i = 0; i < experiment->skipped_count; i++)
        if (!strncmp(experiment->skipped[i], a->cell, strlen(a->cell)) && experiment->skipped[i][strlen(a->cell)] == ':')
            return bl_fail("--cell %s: it is left out: %s", a->cell, experiment->skipped[i]);
    bl_text names = {0};
    for (int i = 0; i < experiment->cell_count; i++) bl_text_add(&names, "%s%s", i ? ", " : "", experiment->cells[i].name);
    const int status = bl_fail("--cell %s: the study has %s", a->cell, names.chars);
    bl_text_free(&names);
    return status;
}
