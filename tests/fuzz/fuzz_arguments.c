// A command line, a word a line. What trains or measures speed has no experiment file to do it with; the others have small.yaml.

#include <unistd.h>

#include "rig.h"

int byolab_main(int argc, char **argv); // harness/main.c, which fuzz/CMakeLists.txt gives this name and a stdout that stays open

static const char experiment[] =
        "data: {dataset: shapes, train: 20, test: 10}\n"
        "views: [{random_resized_crop: {size: 8}, normalize: imagenet}]\n"
        "network: {encoder: resnet18, stem: cifar, width: 1, projector: {hidden: 2, out: 2}}\n"
        "method: {predictor: {hidden: 2}, target: {tau: 0.9}}\n"
        "train: {epochs: 1, batch: 5, optimizer: {kind: adam, lr: 1.0e-3}, seeds: [0, 1]}\n"
        "cells: {a: {}, b: {train: {batch: 4}}}\n"
        "machine: {backend: reference, threads: 1}\n";

static bool is_one_of(const char *word, const char *const *words) {
    while (*words && strcmp(*words, word) != 0) words++;
    return *words;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const of_hours[] = {"run", "eval", "bench", "compare", NULL}, *const of_a_second[] = {"--machine", "--memory", "preview", NULL};
    enum { MOST = 24 };
    char text[1024], *words[MOST + 2] = {"byolab"};
    int count = 1;
    if (size >= sizeof text || memchr(data, '/', size)) return 0; // nothing outside this folder
    memcpy(text, data, size);
    text[size] = 0;
    for (char *word = strtok(text, "\n"); word && count <= MOST; word = strtok(NULL, "\n")) words[count++] = word;
    bool is_long = false;
    for (int i = 1; i < count; i++) {
        if (is_one_of(words[i], of_a_second)) return 0;
        is_long |= is_one_of(words[i], of_hours);
    }
    bl_fuzz_clear();
    if (!is_long) bl_fuzz_file("small.yaml", (const uint8_t *)experiment, sizeof experiment - 1);
    char **given = malloc((size_t)(count + 1) * sizeof *given); // exactly as many
    memcpy(given, words, (size_t)count * sizeof *given);
    given[count] = NULL;
    const int status = byolab_main(count, given);
    if (status < 0 || status > 2) abort(); // nobody sends signals here
    free(given);
    return 0;
}
