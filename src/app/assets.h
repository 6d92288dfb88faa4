// The browser pages inside the binary: everything `npm run build` writes below web/dist, put there
// by tools/embed-assets.mjs (cmake/web.cmake). The bytes live as long as the program.
#pragma once

#include "net/static_files.h"

#include <span>

namespace nave::app {

[[nodiscard]] std::span<const net::Asset> embedded_assets();

}  // namespace nave::app
