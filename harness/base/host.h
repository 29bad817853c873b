// host.h - who computes here: the processor, and the commit that this program was built from.

#ifndef BL_BASE_HOST_H
#define BL_BASE_HOST_H

#include <stddef.h>

// "Intel(R) Xeon(R) Processor, family 6, model 207", for a virtual machine's name says little; cut to what there is room for. "unknown"
// where the system does not say.
void bl_host_cpu(char *out, size_t room);

// "2e14f59ab01c"; "2e14f59ab01c+changes" where sources differed from it, "unknown" outside git. As of the last build, not of CMake's
// configuration (commit.cmake).
const char *bl_program_commit(void);

#endif
