#include "prekeys/kt/tiles.h"

#include <gtest/gtest.h>

#include <map>

namespace nave::prekeys::kt {
namespace {

TilePath hashes(unsigned level, std::uint64_t index, unsigned width = kTileWidth) {
    return {.entries = false, .level = level, .index = index, .width = width};
}

TilePath entries(std::uint64_t index, unsigned width = kTileWidth) {
    return {.entries = true, .level = 0, .index = index, .width = width};
}

TEST(Tiles, PathsRoundTrip) {
    const std::pair<std::string_view, TilePath> cases[] = {
        {"tile/0/000", hashes(0, 0)},
        {"tile/0/999", hashes(0, 999)},
        {"tile/0/x001/000", hashes(0, 1000)},
        {"tile/0/x001/x234/067", hashes(0, 1234067)},
        {"tile/1/000.p/17", hashes(1, 0, 17)},
        {"tile/63/x001/234.p/255", hashes(63, 1234, 255)},
        {"tile/entries/273.p/112", entries(273, 112)},
        {"tile/entries/x001/x234/067", entries(1234067)},
    };
    for (const auto& [path, tile] : cases) {
        EXPECT_EQ(parse_tile_path(path), tile) << path;
        EXPECT_EQ(format_tile_path(tile), path);
    }
}

TEST(Tiles, OtherSpellingsAreRefused) {
    for (const std::string_view path : {"",
                                        "tile",
                                        "tile/",
                                        "tile/0",
                                        "tile/0/",
                                        "tile/0/0",
                                        "tile/0/00",
                                        "tile/0/0000",
                                        "tile/00/000",
                                        "tile/64/000",
                                        "tile/-1/000",
                                        "tile/+1/000",
                                        "tile/x/000",
                                        "/tile/0/000",
                                        "tile//000",
                                        "tile/0/x000/001",
                                        "tile/0/001/000",
                                        "tile/0/x001",
                                        "tile/0/x001/x000",
                                        "tile/0/x0010/00",
                                        "tile/0/x001//000",
                                        "tile/0/000/",
                                        "tile/0/000.p",
                                        "tile/0/000.p/",
                                        "tile/0/000.p/0",
                                        "tile/0/000.p/256",
                                        "tile/0/000.p/01",
                                        "tile/0/000.p/-1",
                                        "tile/0/000.p/1/",
                                        "tile/0/000.p/1.p/1",
                                        "tile/entries",
                                        "tile/entries/",
                                        "tile/Entries/000",
                                        "tile/data/000",
                                        "tile/0/../000",
                                        "tile/0/00a",
                                        "tile/0/x00a/000",
                                        "tile/0/x999/x999/x999/x999/x999/x999/999",
                                        "tile/0/0x0",
                                        "tile/0/ 00"}) {
        EXPECT_FALSE(parse_tile_path(path)) << path;
    }
}

// The example of the specification: a tree of 70,000 leaves.
TEST(Tiles, WhichTilesATreeHas) {
    constexpr std::uint64_t kSize = 70'000;
    EXPECT_TRUE(tile_exists(hashes(0, 0), kSize));
    EXPECT_TRUE(tile_exists(hashes(0, 272), kSize));
    EXPECT_FALSE(tile_exists(hashes(0, 273), kSize));
    EXPECT_TRUE(tile_exists(hashes(0, 273, 112), kSize));
    EXPECT_TRUE(tile_exists(hashes(0, 273, 5), kSize));
    EXPECT_FALSE(tile_exists(hashes(0, 273, 113), kSize));
    EXPECT_TRUE(tile_exists(hashes(1, 0), kSize));
    EXPECT_TRUE(tile_exists(hashes(1, 1, 17), kSize));
    EXPECT_FALSE(tile_exists(hashes(1, 1, 18), kSize));
    EXPECT_TRUE(tile_exists(hashes(2, 0, 1), kSize));
    EXPECT_FALSE(tile_exists(hashes(2, 0, 2), kSize));
    EXPECT_FALSE(tile_exists(hashes(3, 0, 1), kSize));
    EXPECT_FALSE(tile_exists(hashes(63, 0, 1), kSize));
    EXPECT_TRUE(tile_exists(entries(273, 112), kSize));
    EXPECT_FALSE(tile_exists(entries(273, 113), kSize));
    EXPECT_FALSE(tile_exists(entries(UINT64_MAX), kSize));
    EXPECT_FALSE(tile_exists(hashes(0, 0, 1), 0));
}

TEST(Tiles, NodesOfATile) {
    const auto nodes = tile_nodes(hashes(2, 3, 5));
    ASSERT_EQ(nodes.size(), 5U);
    EXPECT_EQ(nodes.front(), (NodeId{.level = 16, .index = 768}));
    EXPECT_EQ(nodes.back(), (NodeId{.level = 16, .index = 772}));
    EXPECT_EQ(tile_nodes(hashes(0, 0)).size(), 256U);
    EXPECT_TRUE(tile_nodes(entries(0)).empty());
}

// Every hash of a tile is the hash of a full tile one level below, which is how a client that holds
// tiles only rebuilds the tree.
TEST(Tiles, TilesRebuildTheTree) {
    constexpr std::uint64_t kSize = 600;
    Frontier frontier;
    std::map<NodeId, Hash> stored;
    for (std::uint64_t i = 0; i < kSize; ++i) {
        Bytes leaf;
        append_be(leaf, i);
        for (const Node& node : frontier.append(leaf_hash(leaf))) {
            stored.emplace(node.id, node.hash);
        }
    }
    for (std::uint64_t tile = 0; tile < 2; ++tile) {
        std::vector<Hash> row;
        for (const NodeId id : tile_nodes(hashes(0, tile))) {
            row.push_back(stored.at(id));
        }
        EXPECT_EQ(tile_bytes(row).size(), 8192U);
        Frontier subtree;
        for (const Hash& hash : row) {
            static_cast<void>(subtree.append(hash));
        }
        EXPECT_EQ(subtree.root(), stored.at(tile_nodes(hashes(1, 0, 2))[tile]));
    }
}

TEST(Tiles, EntryBundlesRoundTrip) {
    Bytes bundle;
    const Bytes long_entry(65535, 7);
    append_entry(bundle, as_bytes("abc"));
    append_entry(bundle, {});
    append_entry(bundle, long_entry);
    EXPECT_EQ(bundle[0], 0);
    EXPECT_EQ(bundle[1], 3);
    const auto parsed = parse_entries(bundle);
    ASSERT_TRUE(parsed);
    ASSERT_EQ(parsed->size(), 3U);
    EXPECT_EQ(as_text((*parsed)[0]), "abc");
    EXPECT_TRUE((*parsed)[1].empty());
    EXPECT_TRUE(equal((*parsed)[2], long_entry));
    EXPECT_TRUE(parse_entries({})->empty());
}

TEST(Tiles, MalformedBundlesAreRefused) {
    Bytes bundle;
    append_entry(bundle, as_bytes("abc"));
    for (std::size_t cut = 1; cut < bundle.size(); ++cut) {
        EXPECT_FALSE(parse_entries(ByteView(bundle).first(cut))) << cut;
    }
    EXPECT_TRUE(parse_entries(Bytes(2 * 256)));
    EXPECT_FALSE(parse_entries(Bytes(2 * 257))) << "257 empty entries";
}

}  // namespace
}  // namespace nave::prekeys::kt
