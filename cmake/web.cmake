# Browser pages: built by npm when their sources change and embedded in a target.
#
#   nave_embed_assets(<target>)
#
# adds nave::app::embedded_assets() (src/app/assets.h) to the target. Everything generated lies in the
# build directory, so several build trees do not disturb each other. With NAVE_WEB_DIST pointing at a
# finished `npm run build`, the pages are taken from there and npm is not needed, node still is.
#
# Run as a script (cmake -DWEB_DIR=... -P web.cmake) it checks that the npm packages are installed.

if(CMAKE_SCRIPT_MODE_FILE)
  if(NOT EXISTS "${WEB_DIR}/node_modules/vite/package.json")
    message(FATAL_ERROR "The npm packages of web/ are not installed: run scripts/setup")
  endif()
  return()
endif()

enable_language(ASM)

set(NAVE_WEB_DIST "" CACHE PATH "Finished build of web/ to embed; empty to build it with npm")
find_program(NODE_PROGRAM node)
find_program(NPM_PROGRAM npm)
set(NAVE_WEB_CMAKE "${CMAKE_CURRENT_LIST_FILE}")

function(nave_embed_assets target)
  if(NOT NODE_PROGRAM)
    message(FATAL_ERROR "node (20.19 or later) is needed to build the browser pages: run scripts/setup")
  endif()
  set(web "${PROJECT_SOURCE_DIR}/web")
  set(embed "${PROJECT_SOURCE_DIR}/tools/embed-assets.mjs")
  set(out "${CMAKE_CURRENT_BINARY_DIR}/web")
  file(MAKE_DIRECTORY "${out}")

  if(NAVE_WEB_DIST)
    get_filename_component(dist "${NAVE_WEB_DIST}" ABSOLUTE)
    file(GLOB_RECURSE inputs CONFIGURE_DEPENDS "${dist}/*")
  else()
    if(NOT NPM_PROGRAM)
      message(FATAL_ERROR "npm is needed to build the browser pages: run scripts/setup")
    endif()
    set(dist "${out}/dist")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS
      "${web}/src/*" "${web}/dashboard/*" "${web}/docs/*" "${web}/vite/*")
    list(FILTER sources EXCLUDE REGEX "\\.test\\.tsx?$")
    set(inputs "${out}/dist.stamp")
    add_custom_command(
      OUTPUT "${out}/dist.stamp"
      COMMAND "${CMAKE_COMMAND}" "-DWEB_DIR=${web}" -P "${NAVE_WEB_CMAKE}"
      COMMAND "${CMAKE_COMMAND}" -E env "NAVE_WEB_OUT_DIR=${dist}"
              "${NPM_PROGRAM}" --prefix "${web}" run --silent build
      COMMAND "${CMAKE_COMMAND}" -E touch "${out}/dist.stamp"
      DEPENDS ${sources} "${web}/package.json" "${web}/package-lock.json" "${web}/vite.config.ts"
              "${web}/tsconfig.json"
      COMMENT "Building the browser pages"
      VERBATIM)
  endif()

  add_custom_command(
    OUTPUT "${out}/assets.S" "${out}/assets.cc"
    COMMAND "${NODE_PROGRAM}" "${embed}" "${dist}" "${out}/assets.S" "${out}/assets.cc"
    DEPENDS ${inputs} "${embed}"
    COMMENT "Embedding the browser pages"
    VERBATIM)
  target_sources(${target} PRIVATE "${out}/assets.S" "${out}/assets.cc")
endfunction()
