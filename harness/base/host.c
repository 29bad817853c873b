#include "base/host.h"

#include <stdio.h>
#include <string.h>

void bl_host_cpu(char *out, size_t room) {
    char line[512], name[128] = "unknown";
    int family = 0, model = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file) && *line != '\n') { // an empty line ends the first processor
        sscanf(line, "model name : %127[^\n]", name);
        sscanf(line, "cpu family : %d", &family);
        sscanf(line, "model : %d", &model);
    }
    if (file) fclose(file);
    if (model) snprintf(out, room, "%s, family %d, model %d", name, family, model);
    else snprintf(out, room, "%s", name);
}

void bl_host_flags(char *out, size_t room) {
    char line[8192]; // the flags take one and a half thousand
    size_t used = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    *out = 0;
    while (file && fgets(line, sizeof line, file) && *line != '\n') {
        if (strncmp(line, "flags", 5) != 0) continue;
        for (const char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
            if ((!strncmp(word, "avx", 3) || !strncmp(word, "amx", 3)) && used < room)
                used += (size_t)snprintf(out + used, room - used, "%s%s", used ? " " : "", word);
    }
    if (file) fclose(file);
}
