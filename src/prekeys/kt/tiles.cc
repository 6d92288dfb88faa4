#include "prekeys/kt/tiles.h"

#include "base/check.h"
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys::kt {
namespace {

constexpr std::string_view kRoot = "tile/";
constexpr std::string_view kEntries = "entries";
constexpr std::string_view kPartial = ".p/";
constexpr unsigned kLevelMax = 63;
constexpr unsigned kTileHeight = 8;
constexpr std::size_t kPathBytesMax = 64;
constexpr std::uint64_t kTileIndexMax = kTreeSizeMax / kTileWidth;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    const auto value = parse_int(text);
    return value && *value >= 0 ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

// "x001/x234/067": groups of three digits, all but the last marked by an x. The exact spelling is
// checked by formatting again.
std::optional<std::uint64_t> parse_index(std::string_view text) {
    std::string digits;
    for (const char c : text) {
        if (c != 'x' && c != '/') {
            digits.push_back(c);
        }
    }
    return parse_number(digits);
}

std::string format_index(std::uint64_t index) {
    std::string out = fmt::format("{:03}", index % 1000);
    for (index /= 1000; index > 0; index /= 1000) {
        out = fmt::format("x{:03}/{}", index % 1000, out);
    }
    return out;
}

}  // namespace

std::optional<TilePath> parse_tile_path(std::string_view path) {
    if (path.size() > kPathBytesMax || !path.starts_with(kRoot)) {
        return std::nullopt;
    }
    std::string_view rest = path.substr(kRoot.size());
    TilePath tile;
    if (const std::size_t at = rest.find(kPartial); at != std::string_view::npos) {
        const auto width = parse_number(rest.substr(at + kPartial.size()));
        if (!width || *width == 0 || *width >= kTileWidth) {
            return std::nullopt;
        }
        tile.width = static_cast<unsigned>(*width);
        rest = rest.substr(0, at);
    }
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view kind = rest.substr(0, slash);
    tile.entries = kind == kEntries;
    if (!tile.entries) {
        const auto level = parse_number(kind);
        if (!level || *level > kLevelMax) {
            return std::nullopt;
        }
        tile.level = static_cast<unsigned>(*level);
    }
    const auto index = parse_index(rest.substr(slash + 1));
    if (!index || *index > kTileIndexMax) {
        return std::nullopt;
    }
    tile.index = *index;
    if (format_tile_path(tile) != path) {
        return std::nullopt;
    }
    return tile;
}

std::string format_tile_path(const TilePath& tile) {
    std::string out = fmt::format("{}{}/{}", kRoot,
                                  tile.entries ? std::string(kEntries) : fmt::to_string(tile.level),
                                  format_index(tile.index));
    if (!tile.is_full()) {
        fmt::format_to(std::back_inserter(out), "{}{}", kPartial, tile.width);
    }
    return out;
}

bool tile_exists(const TilePath& tile, std::uint64_t tree_size) {
    const unsigned shift = tile.level * kTileHeight;
    const std::uint64_t present = shift < 64 ? tree_size >> shift : 0;
    return tile.index <= kTileIndexMax && tile.first() + tile.width <= present;
}

std::vector<NodeId> tile_nodes(const TilePath& tile) {
    std::vector<NodeId> ids;
    if (tile.entries) {
        return ids;
    }
    ids.reserve(tile.width);
    for (unsigned i = 0; i < tile.width; ++i) {
        ids.push_back({.level = tile.level * kTileHeight, .index = tile.first() + i});
    }
    return ids;
}

Bytes tile_bytes(std::span<const Hash> hashes) {
    Bytes out;
    out.reserve(hashes.size() * sizeof(Hash));
    for (const Hash& hash : hashes) {
        append(out, hash);
    }
    return out;
}

void append_entry(Bytes& bundle, ByteView entry) {
    CHECK(entry.size() <= kEntryBytesMax, "a log entry has at most 65535 bytes");
    append_be(bundle, static_cast<std::uint16_t>(entry.size()));
    append(bundle, entry);
}

std::optional<std::vector<ByteView>> parse_entries(ByteView bundle) {
    std::vector<ByteView> entries;
    while (!bundle.empty()) {
        if (bundle.size() < 2 || entries.size() == kTileWidth) {
            return std::nullopt;
        }
        const std::size_t length = std::size_t{bundle[0]} << 8 | bundle[1];
        bundle = bundle.subspan(2);
        if (bundle.size() < length) {
            return std::nullopt;
        }
        entries.push_back(bundle.first(length));
        bundle = bundle.subspan(length);
    }
    return entries;
}

}  // namespace nave::prekeys::kt
