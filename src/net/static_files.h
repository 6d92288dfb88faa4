// Assets embedded in the binary (web/dist), served with strong ETags and strict headers.
#pragma once

#include "net/router.h"

#include <span>
#include <string>
#include <string_view>

namespace nave::net {

struct Asset {
    std::string_view path;  // "dashboard/index.html"
    std::string_view content_type;
    std::string_view bytes;  // identity encoding
    std::string_view gzip;   // precompressed, may be empty
    std::string_view etag;   // quoted
    bool immutable = false;  // hashed name: cache for a year
};

// GET/HEAD of every asset under `directory` at `url_base` ("/shade-observer/dashboard/"),
// index.html for the base itself, and a redirect from the base without its slash. Honours
// If-None-Match and Accept-Encoding. `content_security_policy` goes on HTML responses.
void serve_assets(Router& router, std::span<const Asset> assets, std::string_view directory,
                  std::string_view url_base, std::string content_security_policy);

}  // namespace nave::net
