// The text of an experiment file, before a key of it is looked at: it is UTF-8, one document, of bounded size, and read to its end.

#include <time.h>

#include "experiment/yaml.h"
#include "experiment_rig.h"

static const refusal refusals[] = {
    // UTF-8, and characters that may stand in a text
    {"# caf\xe9\ntrain: {epochs: 7}", "mine.yaml:2:6: ", "not UTF-8: byte 0xE9", "save it as UTF-8"},
    {"# caf\xc3\xa9 \xc0\xaf", ":2:8: ", "byte 0xC0", "UTF-8"},               // '/' in two bytes
    {"# \xed\xa0\x80", ":2:3: ", "byte 0xED", "UTF-8"},                       // half a pair
    {"# \xf5\x80\x80\x80", ":2:3: ", "byte 0xF5", "UTF-8"},                   // behind the last one
    {"report: {title: \"a\x07\"}", ":2:19: ", "(U+0007)", "write it as \"\\u0007\""},
    {"report: {title: \"\x7f\"}", ":2:18: ", "(U+007F)", "leave it out"},
    {"report: {title: \"\xc2\x85\"}", ":2:18: ", "(U+0085)", "leave it out"},
    {"report: {title: \"\xe2\x80\xa8\"}", ":2:18: ", "(U+2028)", "leave it out"},
    {"\xef\xbb\xbftrain: {epochs: 3}", ":2:1: ", "a byte order mark", "leave it out"},
    {"save: {weights: none}\rtrain: {epochs: 3}", ":2:22: ", "a carriage return that ends no line", "LF"},
    {"train:\n\xc2\xa0\xc2\xa0" "epochs: 3", ":3:1: ", "only looks like a space (U+00A0)", "write spaces"},
    {"train:\n  \xe3\x80\x80" "epochs: 3", ":3:3: ", "only looks like a space (U+3000)", "write spaces"},
    {"report: {title: \"a\\ud800b\"}", ":2:19: ", "escape", ""},
    // one document, read to its end
    {"---\ntrain: {epochs: 7}", ":2:1: ", "`---` begins a second document", "one document"},
    {"--- {train: {epochs: 7}}", ":2:1: ", "`---` begins a second document", "one document"},
    {"...", ":2:1: ", "`...` ends a document", "one document"},
    {"...\ntrain: {epochs: 7}", ":2:1: ", "`...` ends a document", "one document"},
    {"report: {title: \"a\n---\nb\"}", ":3:1: ", "`---` begins a second document", "one document"},
    {"%YAML 1.2", ":2:1: ", "begins with %", "between quotes"},
    {"%\xff", ":2:1: ", "begins with %", "between quotes"},
    // keys and values that YAML knows and we do not
    {"? [a, b]\n: 3", ":2:3: ", "a key must be one word", "write `key: value`"},
    {"{a: 1}: 3", ":2:", "", ""},
    {"~: 3", ":2:1: ", "a value without a key", "write `key: value`"},
    {"train: !!python/object:os.system {epochs: 3}", ":2:8: ", "tags are not read", "leave it out"},
    {"train: {epochs: !!int \"3\"}", ":2:17: ", "tags are not read", "leave it out"},
    {"train: *nowhere", ":2:9: ", "*nowhere: nothing above is called so", "write `&nowhere`"},
    {"evaluate: &a [*a]", ":2:16: ", "*a stands inside of what it stands for", "write the value out"},
    {"train: {<<: 3}", ":2:13: ", "<<: expected a map", "write `<<: *name`"},
    {"a: &a {epochs: 3}\ntrain: {<<: *a, <<: *a}", ":3:17: ", "<< stands there twice, first in line 3", "write `<<: [*one, *other]`"},
    // what a parser gives up on: where it began, and what to write
    {"train:\n\tepochs: 3", ":3:1: ", "a tab in the indentation", "indent by spaces"},
    {"train:\n  epochs: 3\n\tbatch: 4", ":4:1: ", "a tab in the indentation", "indent by spaces"},
    {"train: {epochs: 3\nevaluate: []", ":2:8: ", "this { is never closed", "write }"},
    {"train: {seeds: [0, 1\nevaluate: []", ":2:16: ", "this [ is never closed", "write ]"},
    {"train: {seeds: [0, 1}", ":2:21: ", "} cannot close the [ of line 2, column 16", "write ]"},
    {"train: {epochs: 3}}", ":2:19: ", "this } closes nothing", "leave it out"},
    {"report:\n  title: \"it's\ntrain: {epochs: 3}", ":3:10: ", "this \" is never closed", "write the closing one"},
    {"report:\n  title: \"a\ndata: {root: \"b\"}", ":3:10: ", "this quote is closed in line 4", "close it in its line"},
    {"train:\n  epochs:3\n  batch: 4", ":3:9: ", "a colon without a space", "write `epochs: `"},
    {"train:\n  epochs: 3\n batch: 4", ":4:2: ", "indentation", "by the same number of spaces"},
    {"train: {epochs: 3 batch: 4}", ":2:", "missing comma", "write a comma between two entries"},
    {"report: {title: BYOL: a study}", ":2:", "missing comma", "a text that holds a colon"},
    {"train:\n  epochs: 3\n  batch 4\n", ":4:3: ", "", "write `key: value`"},
    {"report:\n  title: BYOL: a study", ":3:14: ", "", "between quotes"},
    {"train: {epochs: 3}\nsave: {weights: none}\ntrain: {epochs: 4}", ":4:1: ", "train stands there twice, first in line 2", "leave one of them out"},
};

static void texts_that_are_not_whole_are_refused_where_they_stop_being(void **state) {
    (void)state;
    assert_refused(refusals, sizeof refusals / sizeof *refusals);
}

static void assert_bytes_refused(const char *bytes, size_t count, const char *says) {
    char path[512];
    bl_experiment *experiment;
    snprintf(path, sizeof path, "%s/mine.yaml", bl_test_here());
    assert_ok(bl_atomic_write(path, bytes, count));
    assert_int_not_equal(bl_experiment_read(&experiment, path, NULL, 0), BL_OK);
    if (!strstr(bl_error(), says)) fail_msg("should say %s, but says\n%s", says, bl_error());
}

static void other_encodings_and_no_texts_are_named(void **state) {
    (void)state;
    assert_bytes_refused("\xff\xfe" "b\0a\0s\0e\0", 10, "mine.yaml:1:1: not UTF-8, but UTF-16");
    assert_bytes_refused("\xfe\xff\0b\0a\0s\0e", 10, "mine.yaml:1:1: not UTF-8, but UTF-16");
    assert_bytes_refused("b\0a\0s\0e\0", 8, "not UTF-8, but UTF-16");
    assert_bytes_refused("base: a\0b", 9, "mine.yaml:1:8: a zero byte");
    assert_bytes_refused("", 0, "not an experiment: no keys");
    assert_bytes_refused("# nothing\n", 10, "not an experiment: no keys");
    assert_bytes_refused("{base: a}\nb: 2\n", 15, "mine.yaml:2:1: ");
    assert_bytes_refused("[1] 2\n", 6, "mine.yaml:1:5: ");
}

// A mark before the first character that says UTF-8 and nothing else, one `---`, CR LF: the same study.
static void what_may_stand_around_a_document_changes_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {"\xef\xbb\xbf" "base: minimal.yaml\n", "---\nbase: minimal.yaml\n", "# a word\n\n--- # and one more\nbase: minimal.yaml\n",
                                        "base: minimal.yaml\r\n", "--- {base: minimal.yaml}\n", "? base\n: minimal.yaml\n", "base: &unused minimal.yaml"};
    write_file("minimal.yaml", minimal);
    bl_experiment *expected = read_text(minimal);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bl_experiment *experiment = read_text(texts[i]);
        assert_string_equal(experiment->cells[0].resolved, expected->cells[0].resolved);
        bl_experiment_free(experiment);
    }
    bl_experiment_free(expected);
}

// A text of `count` repeated parts is refused within a second or two, and says its bound.
static void assert_bounded(const char *before, const char *part, int count, const char *says) {
    bl_text text = {0};
    bl_text_add(&text, "%s", before);
    for (int i = 0; i < count; i++) bl_text_add(&text, part, i);
    const clock_t start = clock();
    assert_bytes_refused(text.chars, text.size, says);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20); // sanitizers and a busy machine included
    bl_text_free(&text);
}

static void sizes_are_bounded(void **state) {
    (void)state;
    const char bomb[] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                        "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                        "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    assert_bytes_refused(bomb, strlen(bomb), "mine.yaml:5:9: more than 20000 values in one text");
    assert_bounded("a: &a {b: c}\n", "k%d: {<<: *a}\n", 8000, "more than 20000 values");
    assert_bounded("train: ", "[", 100000, "more than 32 maps and lists inside each other");
    assert_bounded("train: ", "{a: ", 100000, "more than 32 maps and lists inside each other");
    assert_bounded("", "- ", 100000, "more than 32 maps and lists inside each other");
    assert_bounded("train: [", "1,", 300000, "more than 20000 values");
    assert_bounded("", "k%d: 1\n", 60000, "more than 20000 values");
    assert_bounded("", "# a comment\n", 100000, "at most 1048576 are read");
    assert_bounded("report: {title: ", "a word ", 140000, "this { is never closed");
}

static bl_recipe recipe_of(const char *view) {
    bl_experiment *experiment = read_over_minimal(view);
    const bl_recipe recipe = experiment->cells[0].views[1];
    bl_experiment_free(experiment);
    return recipe;
}

// The order of a view's transforms is that in which they are written: what `<<` brings stands in its place.
static void merged_keys_stand_where_they_were_written(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bl_transform_kind kinds[5];
        double p[5];
        int count;
    } cases[] = {
        {"views: [&v {flip: 0.5, grayscale: 0.2, blur: {p: 0.5}}, {<<: *v, solarize: {p: 0.1}}]",
         {BL_FLIP, BL_GRAYSCALE, BL_GAUSSIAN_BLUR, BL_SOLARIZE}, {0.5, 0.2, 0.5, 0.1}, 4},
        {"views: [&v {flip: 0.5, grayscale: 0.2}, {solarize: {p: 0.1}, <<: *v}]", {BL_SOLARIZE, BL_FLIP, BL_GRAYSCALE}, {0.1, 0.5, 0.2}, 3},
        {"views: [&v {flip: 0.5, grayscale: 0.2}, {<<: *v, flip: 0.1}]", {BL_FLIP, BL_GRAYSCALE}, {0.1, 0.2}, 2},       // its own key wins
        {"views: [&v {flip: 0.5, grayscale: 0.2}, {grayscale: 0.7, <<: *v}]", {BL_GRAYSCALE, BL_FLIP}, {0.7, 0.5}, 2},
        {"views: [&v {flip: 0.5, grayscale: 0.2}, {<<: [{blur: {p: 0.3}, flip: 0.9}, *v]}]",                         // then the first map
         {BL_GAUSSIAN_BLUR, BL_FLIP, BL_GRAYSCALE}, {0.3, 0.9, 0.2}, 3},
        {"views: [&v {flip: 0.5, blur: {p: 0.3, sigma: [1, 2]}}, {<<: *v, blur: {p: 0.4}}]", {BL_FLIP, BL_GAUSSIAN_BLUR}, {0.5, 0.4}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_recipe recipe = recipe_of(cases[i].text);
        for (int k = 0; k < recipe.count; k++)
            if (recipe.items[k].kind != cases[i].kinds[k] || recipe.items[k].p != cases[i].p[k]) fail_msg("%s: transform %d", cases[i].text, k);
        assert_int_equal(recipe.count, cases[i].count);
    }
}

// Whatever is given as --set is a text like a file.
static void overrides_are_read_whole(void **state) {
    (void)state;
    static const struct {
        const char *value, *says;
    } cases[] = {{"%\xff", "begins with %"}, {"\xff", "not UTF-8"}, {"3\n---\n4", "`---` begins a second document"},
                 {"[3] 4", "document"},      {"3\n...", "`...` ends"}, {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "more than 32"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bl_override override = {"train.epochs", cases[i].value};
        bl_experiment *experiment;
        assert_int_not_equal(bl_experiment_read(&experiment, write_file("mine.yaml", minimal), &override, 1), BL_OK);
        if (!strstr(bl_error(), cases[i].says)) fail_msg("%s: should say %s, but says\n%s", cases[i].value, cases[i].says, bl_error());
        for (const char *c = bl_error(); *c; c++) assert_true((unsigned char)*c < 0x80); // what no terminal shows is not shown
    }
}

// An alias is a copy: setting one of them leaves the other.
static void aliases_do_not_share(void **state) {
    (void)state;
    const bl_override override = {"cells.a.network.width", "16"};
    char text[1024];
    snprintf(text, sizeof text, "%scells: {a: &a {network: {width: 8}}, b: *a}\n", minimal);
    bl_experiment *experiment = read_with(text, &override, 1);
    assert_int_equal(experiment->cells[0].model.encoder.width, 16);
    assert_int_equal(experiment->cells[1].model.encoder.width, 8);
    bl_experiment_free(experiment);
}

static void json_is_read_to_its_end(void **state) {
    (void)state;
    static const char *const refused[] = {"{\"a\": 1} {}", "{\"a\": 1}]", "{\"a\": 1} x", "{\"a\": \"\xff\"}", "{\"a\": \"\x01\"}", "\xef\xbb\xbf{}",
                                          "{'a': 1}", "{\"a\": 1,}", "{a: 1}", "{\"a\": &b 1}", "{\"a\": 1", "%\xff", "{\"a\": [1 2]}", "[1]\n---\n[2]"};
    static const bl_source source = {"header", NULL};
    bl_arena *arena = bl_arena_create();
    bl_value *value;
    static const char header[] = "{\"a\": [1, {\"b\": \"\\u00e9\"}], \"a\": 2}\n ";
    assert_ok(bl_json_parse(arena, &source, header, strlen(header), &value));
    assert_int_equal(value->count, 2); // twice is twice
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!bl_json_parse(arena, &source, refused[i], strlen(refused[i]), &value)) fail_msg("read: %s", refused[i]);
    bl_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_not_whole_are_refused_where_they_stop_being),
        cmocka_unit_test(other_encodings_and_no_texts_are_named),
        cmocka_unit_test(what_may_stand_around_a_document_changes_nothing),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(merged_keys_stand_where_they_were_written),
        cmocka_unit_test(overrides_are_read_whole),
        cmocka_unit_test(aliases_do_not_share),
        cmocka_unit_test(json_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, set_environment, bl_test_leave);
}
