#include "prekeys/kt/note.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/text.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace nave::prekeys::kt {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";  // em dash, space
constexpr std::size_t kKeyIdBytes = 4;
constexpr std::size_t kKeyNameBytesMax = 512;

// White_Space characters of Unicode beyond ASCII.
constexpr std::array<std::string_view, 19> kUnicodeSpaces = {
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
    "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
};

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20;
}

std::uint32_t read_key_id(ByteView bytes) {
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
           std::uint32_t{bytes[2]} << 8 | bytes[3];
}

// Standard alphabet and padding only: one spelling per signature.
std::optional<Bytes> decode_exact(std::string_view text) {
    auto bytes = base64_decode(text);
    if (!bytes || base64(*bytes) != text) {
        return std::nullopt;
    }
    return bytes;
}

std::optional<NoteSignature> parse_signature_line(std::string_view line) {
    if (!line.starts_with(kSignaturePrefix)) {
        return std::nullopt;
    }
    line.remove_prefix(kSignaturePrefix.size());
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || !is_note_key_name(line.substr(0, space))) {
        return std::nullopt;
    }
    const auto bytes = decode_exact(line.substr(space + 1));
    if (!bytes || bytes->size() <= kKeyIdBytes) {
        return std::nullopt;
    }
    return NoteSignature{.key_name = std::string(line.substr(0, space)),
                         .key_id = read_key_id(*bytes),
                         .signature = Bytes(bytes->begin() + kKeyIdBytes, bytes->end())};
}

std::unexpected<Error> bad_note(std::string_view why) {
    return fail(Code::invalid, "kt.note", fmt::format("The signed note is malformed: {}.", why));
}

std::unexpected<Error> bad_vkey(std::string_view why) {
    return fail(Code::invalid, "kt.vkey", fmt::format("The verifier key is malformed: {}.", why));
}

}  // namespace

bool is_note_key_name(std::string_view name) {
    return !name.empty() && name.size() <= kKeyNameBytesMax && is_utf8(name) &&
           std::ranges::none_of(name,
                                [](char c) { return is_control(c) || c == ' ' || c == '+'; }) &&
           std::ranges::none_of(kUnicodeSpaces, [name](std::string_view space) {
               return name.find(space) != std::string_view::npos;
           });
}

std::uint32_t NoteKey::id() const {
    crypto::Sha256 hasher;
    hasher.update(name);
    const ByteArray<2> separator = {'\n', static_cast<std::uint8_t>(type)};
    hasher.update(separator);
    hasher.update(public_key);
    return read_key_id(hasher.finish());
}

std::string NoteKey::vkey() const {
    Bytes encoded = {static_cast<std::uint8_t>(type)};
    append(encoded, public_key);
    return fmt::format("{}+{:08x}+{}", name, id(), base64(encoded));
}

Result<NoteKey> NoteKey::parse(std::string_view vkey) {
    const std::size_t first = vkey.find('+');
    const std::size_t second = first == std::string_view::npos ? first : vkey.find('+', first + 1);
    if (second == std::string_view::npos) {
        return bad_vkey("it has the form name+id+key");
    }
    const auto encoded = decode_exact(vkey.substr(second + 1));  // base64 may hold more '+'
    if (!encoded || encoded->size() != 33) {
        return bad_vkey("the key is not 33 bytes of base64");
    }
    NoteKey key;
    key.name = vkey.substr(0, first);
    if (!is_note_key_name(key.name)) {
        return bad_vkey("the name is empty or holds a space or control character");
    }
    key.type = static_cast<NoteKeyType>(encoded->front());
    if (key.type != NoteKeyType::ed25519 && key.type != NoteKeyType::cosignature) {
        return bad_vkey("the key type is unknown");
    }
    std::copy(encoded->begin() + 1, encoded->end(), key.public_key.begin());
    if (!crypto::is_acceptable_ed25519_key(key.public_key)) {
        return bad_vkey("the public key is weak or no point of the curve");
    }
    if (vkey.substr(first + 1, second - first - 1) != fmt::format("{:08x}", key.id())) {
        return bad_vkey("the key id does not belong to the key");
    }
    return key;
}

Result<Note> parse_note(std::string_view note) {
    if (note.size() > kNoteBytesMax) {
        return bad_note("too large");
    }
    if (!is_utf8(note) ||
        std::ranges::any_of(note, [](char c) { return is_control(c) && c != '\n'; })) {
        return bad_note("not plain UTF-8 text");
    }
    const std::size_t blank_line = note.rfind("\n\n");
    if (blank_line == std::string_view::npos || !note.ends_with('\n')) {
        return bad_note("no signatures after a blank line");
    }
    Note parsed;
    parsed.text = note.substr(0, blank_line + 1);
    std::string_view rest = note.substr(blank_line + 2);
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        auto signature = parse_signature_line(rest.substr(0, end));
        if (!signature) {
            return bad_note("a signature line has the wrong form");
        }
        if (parsed.signatures.size() == kNoteSignaturesMax) {
            return bad_note("too many signatures");
        }
        parsed.signatures.push_back(std::move(*signature));
        rest.remove_prefix(end + 1);
    }
    if (parsed.signatures.empty()) {
        return bad_note("no signatures after a blank line");
    }
    return parsed;
}

std::string format_note(const Note& note) {
    std::string out = note.text;
    out.push_back('\n');
    for (const NoteSignature& signature : note.signatures) {
        Bytes encoded;
        append_be(encoded, signature.key_id);
        append(encoded, signature.signature);
        out.append(kSignaturePrefix);
        out.append(signature.key_name);
        out.push_back(' ');
        base64_append(out, encoded);
        out.push_back('\n');
    }
    return out;
}

NoteSignature sign_note(std::string_view text, std::string_view key_name,
                        const crypto::Ed25519SigningKey& key) {
    CHECK(text.ends_with('\n') && is_note_key_name(key_name), "not a note of ours");
    const NoteKey public_half = {.name = std::string(key_name),
                                 .type = NoteKeyType::ed25519,
                                 .public_key = key.public_key()};
    const ByteArray<64> signature = key.sign(as_bytes(text));
    return {.key_name = public_half.name,
            .key_id = public_half.id(),
            .signature = Bytes(signature.begin(), signature.end())};
}

Result<void> verify_note(const Note& note, const NoteKey& key) {
    CHECK(key.type == NoteKeyType::ed25519, "cosignatures have verify_cosignature");
    bool signed_by_key = false;
    const std::uint32_t id = key.id();
    for (const NoteSignature& signature : note.signatures) {
        if (signature.key_id != id || signature.key_name != key.name) {
            continue;
        }
        if (!crypto::ed25519_verify(key.public_key, as_bytes(note.text), signature.signature)) {
            return fail(Code::unauthenticated, "kt.signature", "The note's signature is wrong.");
        }
        signed_by_key = true;
    }
    if (!signed_by_key) {
        return fail(Code::unauthenticated, "kt.signature", "The note is not signed by this key.");
    }
    return ok();
}

}  // namespace nave::prekeys::kt
