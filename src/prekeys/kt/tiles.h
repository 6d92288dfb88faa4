// The files a tiled log serves (C2SP tlog-tiles): runs of up to 256 tree hashes, and bundles of the
// entries themselves. A full tile never changes; a partial one exists as soon as its hashes do.
#pragma once

#include "prekeys/kt/merkle.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys::kt {

inline constexpr unsigned kTileWidth = 256;
inline constexpr std::size_t kEntryBytesMax = 0xffff;

struct TilePath {
    bool entries = false;     // an entry bundle rather than hashes; its level is 0
    unsigned level = 0;       // 0..63; hashes at tile level L are tree nodes of level 8 L
    std::uint64_t index = 0;  // of the tile within its level
    unsigned width = kTileWidth;
    friend bool operator==(const TilePath&, const TilePath&) = default;

    [[nodiscard]] bool is_full() const { return width == kTileWidth; }
    // Index of the first hash or entry at this level.
    [[nodiscard]] std::uint64_t first() const { return index * kTileWidth; }
};

// "tile/<L>/<N>[.p/<W>]" or "tile/entries/<N>[.p/<W>]", where N is written as "x001/x234/067".
// nullopt for anything not spelt exactly as format_tile_path() would.
[[nodiscard]] std::optional<TilePath> parse_tile_path(std::string_view path);
[[nodiscard]] std::string format_tile_path(const TilePath& tile);

// Whether a tree of this size holds every hash or entry of the tile.
[[nodiscard]] bool tile_exists(const TilePath& tile, std::uint64_t tree_size);

// The tree nodes of a hash tile, in order; none for an entry bundle.
[[nodiscard]] std::vector<NodeId> tile_nodes(const TilePath& tile);
[[nodiscard]] Bytes tile_bytes(std::span<const Hash> hashes);

// Entry bundles: each entry behind its length as a big-endian 16-bit number.
void append_entry(Bytes& bundle, ByteView entry);
// nullopt when a length runs past the end, or there are more than 256 entries.
[[nodiscard]] std::optional<std::vector<ByteView>> parse_entries(ByteView bundle);

}  // namespace nave::prekeys::kt
