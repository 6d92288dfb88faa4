// Signed notes (C2SP signed-note): a text and lines that sign it. The transparency log's
// checkpoints are notes, so that witnesses and monitors written by others can read them.
//
// Parsing is strict and bounded, and says nothing about trust: the text counts only once a key the
// caller already holds has verified it.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/ed25519.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys::kt {

inline constexpr std::size_t kNoteBytesMax = 128 * 1024;
inline constexpr std::size_t kNoteSignaturesMax = 32;  // the specification asks for 16 or more

struct NoteSignature {
    std::string key_name;
    std::uint32_t key_id = 0;
    Bytes signature;  // what follows the key id
};

struct Note {
    std::string text;  // ends in a newline
    std::vector<NoteSignature> signatures;
};

// The type byte inside a verifier key.
enum class NoteKeyType : std::uint8_t {
    ed25519 = 0x01,
    cosignature = 0x04,  // a witness's timestamped Ed25519 signature (C2SP tlog-cosignature)
};

// A public key that verifies notes, in its text form "<name>+<key id, hex>+<base64 type and key>".
struct NoteKey {
    std::string name;
    NoteKeyType type = NoteKeyType::ed25519;
    ByteArray<32> public_key{};

    // First four bytes of SHA-256(name || 0x0A || type || public key), big-endian.
    [[nodiscard]] std::uint32_t id() const;
    [[nodiscard]] std::string vkey() const;
    // Errors: Code::invalid "kt.vkey", also when the key id is not that of the key.
    [[nodiscard]] static Result<NoteKey> parse(std::string_view vkey);
};

// Non-empty UTF-8 without spaces (any of Unicode's), control characters or '+'.
[[nodiscard]] bool is_note_key_name(std::string_view name);

// Errors: Code::invalid "kt.note".
[[nodiscard]] Result<Note> parse_note(std::string_view note);
[[nodiscard]] std::string format_note(const Note& note);

// Signs with Ed25519 (type 0x01). The text must end in a newline and hold no other control
// characters.
[[nodiscard]] NoteSignature sign_note(std::string_view text, std::string_view key_name,
                                      const crypto::Ed25519SigningKey& key);

// Whether `key` (type ed25519) signed the note. Signatures by other keys are ignored; of this key
// there must be one, and none that is wrong. Errors: Code::unauthenticated "kt.signature".
[[nodiscard]] Result<void> verify_note(const Note& note, const NoteKey& key);

}  // namespace nave::prekeys::kt
