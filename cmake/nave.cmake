# Build rules shared by every folder: one library and one test program per layer.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(nave_flags INTERFACE)
target_compile_options(nave_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wthread-safety -Wnon-virtual-dtor -Wimplicit-fallthrough
  -Werror -Wno-c23-extensions -fno-omit-frame-pointer
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_link_options(nave_flags INTERFACE -fuse-ld=lld)
if(NAVE_SANITIZE)
  target_compile_options(nave_flags INTERFACE -fsanitize=${NAVE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(nave_flags INTERFACE -fsanitize=${NAVE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(nave_flags INTERFACE
    -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong -fstack-clash-protection
    -fcf-protection)
  target_link_options(nave_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections)
  target_compile_options(nave_flags INTERFACE -ffunction-sections -fdata-sections)
endif()
if(NAVE_FUZZ)
  target_compile_options(nave_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# nave_library(<folder> SOURCES a.cc ... DEPS nave_base ... [PRIVATE_DEPS ...])
function(nave_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(nave_${name} STATIC ${ARG_SOURCES})
  target_include_directories(nave_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(nave_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS} nave_flags)
endfunction()

# nave_test(<folder> SOURCES a_test.cc ... DEPS ...): one GoogleTest program, one ctest entry.
function(nave_test name)
  if(NOT NAVE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name}_tests ${ARG_SOURCES})
  target_link_libraries(${name}_tests PRIVATE ${ARG_DEPS} GTest::gmock_main nave_flags)
  add_test(NAME unit.${name} COMMAND ${name}_tests)
  set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# nave_embeds(<source> <file>...): the source #embeds these files. Their hash goes on the command
# line, because ccache 4.7 does not look into #embed and would hand back an object with old content.
function(nave_embeds source)
  set(digest "")
  foreach(file IN LISTS ARGN)
    get_filename_component(path "${file}" ABSOLUTE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
    file(SHA256 "${path}" one)
    string(APPEND digest "${one}")
  endforeach()
  string(SHA256 digest "${digest}")
  set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS "NAVE_EMBEDDED=\"${digest}\"")
  set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS "${ARGN}")
endfunction()
