# Writes ${OUTPUT}, one small C file that names the commit of ${SOURCE}: at every build, and only where the name has changed.

set(commit unknown)
find_program(GIT git)
if(GIT)
  # A folder inside someone else's repository is not that repository's commit.
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-prefix --short=12 HEAD OUTPUT_VARIABLE lines ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND lines MATCHES "^\n?([0-9a-f]+)\n$")
    set(commit ${CMAKE_MATCH_1})
    # What is built from; no lock is taken that a `git commit` meanwhile would stumble over.
    execute_process(COMMAND ${GIT} -C ${SOURCE} --no-optional-locks status --porcelain -- CMakeLists.txt harness backends datasets
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      string(APPEND commit +changes)
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#include \"base/host.h\"\n\nconst char *bl_program_commit(void) { return \"${commit}\"; }\n" @ONLY)
