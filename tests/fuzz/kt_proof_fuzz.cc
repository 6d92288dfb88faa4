// What monitors and clients parse of the transparency log: proof documents, entries, tile paths and
// entry bundles. Whatever parses is written back to the same meaning.
#include "base/bytes.h"
#include "base/check.h"
#include "base/json.h"
#include "prekeys/kt/leaf.h"
#include "prekeys/kt/proof.h"
#include "prekeys/kt/tiles.h"
#include "prekeys/kt/verifier.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave;
    using namespace nave::prekeys::kt;
    const ByteView bytes(data, size);
    const std::string_view text = as_text(bytes);

    if (const auto proof = parse_history(text)) {
        const auto again = parse_history(json::text(to_json(*proof)));
        CHECK(again && *again == *proof, "a history does not survive writing");
        const LogKeys nobody{.log = {.name = "log", .type = NoteKeyType::ed25519, .public_key = {}},
                             .vrf = {}};
        CHECK(!verify_history(text, proof->address, nobody), "keys of zeros prove nothing");
    }
    if (const auto proof = parse_bundle(text)) {
        static_cast<void>(to_json(*proof));
    }
    if (const auto leaf = decode_leaf(bytes)) {
        CHECK(equal(encode_leaf(*leaf), bytes), "an entry has two spellings");
    }
    if (const auto tile = parse_tile_path(text)) {
        CHECK(format_tile_path(*tile) == text, "a tile has two paths");
        CHECK(!tile_exists(*tile, 0), "an empty tree has no tiles");
        static_cast<void>(tile_exists(*tile, kTreeSizeMax));
    }
    if (const auto entries = parse_entries(bytes)) {
        Bytes bundle;
        for (const ByteView entry : *entries) {
            append_entry(bundle, entry);
        }
        CHECK(equal(bundle, bytes), "a bundle has two spellings");
    }
    return 0;
}
