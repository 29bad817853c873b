#include "base/host.h"

#include <stdio.h>

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
