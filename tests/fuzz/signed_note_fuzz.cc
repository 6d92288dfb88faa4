// Signed notes, checkpoints and verifier keys: whatever parses is written back byte for byte, so no
// two texts mean the same note.
#include "base/check.h"
#include "prekeys/kt/checkpoint.h"
#include "prekeys/kt/note.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave::prekeys::kt;
    const std::string_view text(reinterpret_cast<const char*>(data), size);

    if (const auto note = parse_note(text)) {
        CHECK(format_note(*note) == text, "a note has two spellings");
        CHECK(note->signatures.size() <= kNoteSignaturesMax, "too many signatures");
        const NoteKey stranger{.name = note->signatures.front().key_name,
                               .type = NoteKeyType::ed25519,
                               .public_key = {}};
        CHECK(!verify_note(*note, stranger), "a key of zeros signs nothing");
        if (const auto checkpoint = parse_checkpoint_text(note->text)) {
            CHECK(checkpoint_text(*checkpoint) == note->text, "a checkpoint has two spellings");
        }
    }
    if (const auto checkpoint = parse_checkpoint_text(text)) {
        CHECK(checkpoint_text(*checkpoint) == text, "a checkpoint has two spellings");
        CHECK(checkpoint->size <= kTreeSizeMax, "an impossible tree");
    }
    if (const auto key = NoteKey::parse(text)) {
        CHECK(key->vkey() == text, "a verifier key has two spellings");
    }
    return 0;
}
