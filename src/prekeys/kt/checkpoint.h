// Checkpoints of the transparency log (C2SP tlog-checkpoint): origin, tree size and root hash in a
// signed note, and the cosignatures by which witnesses vouch for them (C2SP tlog-cosignature, the
// Ed25519 form).
#pragma once

#include "base/result.h"
#include "prekeys/kt/merkle.h"
#include "prekeys/kt/note.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys::kt {

struct Checkpoint {
    std::string origin;
    std::uint64_t size = 0;
    Hash root{};
    std::vector<std::string> extensions;  // never made here; read and kept, without meaning
    friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// The note text: three lines and the extensions, each ended by a newline.
[[nodiscard]] std::string checkpoint_text(const Checkpoint& checkpoint);

// Errors: Code::invalid "kt.checkpoint". Sizes above kTreeSizeMax are refused.
[[nodiscard]] Result<Checkpoint> parse_checkpoint_text(std::string_view text);

// The signed note a log serves. The signing key's name is the origin.
[[nodiscard]] std::string sign_checkpoint(const Checkpoint& checkpoint,
                                          const crypto::Ed25519SigningKey& key);

// Parses a note, verifies the log's signature and requires the origin to be the key's name.
// Errors: those of parse_note, verify_note and parse_checkpoint_text; Code::invalid
// "kt.checkpoint" for another origin.
[[nodiscard]] Result<Checkpoint> open_checkpoint(std::string_view note, const NoteKey& log_key);

// The time (seconds since the epoch) at which `witness` (type cosignature) vouched for the note.
// Errors: Code::unauthenticated "kt.cosignature".
[[nodiscard]] Result<std::uint64_t> verify_cosignature(const Note& note, const NoteKey& witness);

// What a witness signs: a header, the time, and the note text.
[[nodiscard]] std::string cosignature_message(std::string_view note_text, std::uint64_t seconds);

}  // namespace nave::prekeys::kt
