#include "prekeys/kt/checkpoint.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace nave::prekeys::kt {
namespace {

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kTimeBytes = 8;

std::unexpected<Error> bad_checkpoint(std::string_view why) {
    return fail(Code::invalid, "kt.checkpoint",
                fmt::format("The checkpoint is malformed: {}.", why));
}

// The next line without its newline; nullopt at the end.
std::optional<std::string_view> take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

// Decimal without sign or leading zeroes.
std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto value = parse_int(text);
    if (!value || *value < 0 || fmt::format("{}", *value) != text ||
        static_cast<std::uint64_t>(*value) > kTreeSizeMax) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*value);
}

}  // namespace

std::string checkpoint_text(const Checkpoint& checkpoint) {
    std::string text =
        fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, base64(checkpoint.root));
    for (const std::string& line : checkpoint.extensions) {
        text.append(line);
        text.push_back('\n');
    }
    return text;
}

Result<Checkpoint> parse_checkpoint_text(std::string_view text) {
    if (text.size() > kTextBytesMax || !text.ends_with('\n')) {
        return bad_checkpoint("too large or without a final newline");
    }
    Checkpoint checkpoint;
    const auto origin = take_line(text);
    const auto size = take_line(text);
    const auto root = take_line(text);
    if (!origin || origin->empty() || !size || !root) {
        return bad_checkpoint("it needs an origin, a size and a root hash");
    }
    checkpoint.origin = *origin;
    const auto leaves = parse_size(*size);
    if (!leaves) {
        return bad_checkpoint("the tree size is not a decimal number in range");
    }
    checkpoint.size = *leaves;
    const auto hash = base64_decode(*root);
    if (!hash || hash->size() != checkpoint.root.size() || base64(*hash) != *root) {
        return bad_checkpoint("the root hash is not 32 bytes of base64");
    }
    std::ranges::copy(*hash, checkpoint.root.begin());
    if (checkpoint.size == 0 && checkpoint.root != empty_root()) {
        return bad_checkpoint("an empty tree has another root hash");
    }
    while (!text.empty()) {
        const std::string_view line = *take_line(text);
        if (line.empty()) {
            return bad_checkpoint("an extension line is empty");
        }
        checkpoint.extensions.emplace_back(line);
    }
    return checkpoint;
}

std::string sign_checkpoint(const Checkpoint& checkpoint, const crypto::Ed25519SigningKey& key) {
    Note note;
    note.text = checkpoint_text(checkpoint);
    note.signatures.push_back(sign_note(note.text, checkpoint.origin, key));
    return format_note(note);
}

Result<Checkpoint> open_checkpoint(std::string_view note, const NoteKey& log_key) {
    TRY(const Note parsed, parse_note(note));
    TRY_VOID(verify_note(parsed, log_key));
    TRY(Checkpoint checkpoint, parse_checkpoint_text(parsed.text));
    if (checkpoint.origin != log_key.name) {
        return bad_checkpoint("the origin is not the name of the log's key");
    }
    return checkpoint;
}

std::string cosignature_message(std::string_view note_text, std::uint64_t seconds) {
    return fmt::format("cosignature/v1\ntime {}\n{}", seconds, note_text);
}

Result<std::uint64_t> verify_cosignature(const Note& note, const NoteKey& witness) {
    CHECK(witness.type == NoteKeyType::cosignature, "plain signatures have verify_note");
    const std::uint32_t id = witness.id();
    std::optional<std::uint64_t> newest;
    for (const NoteSignature& signature : note.signatures) {
        if (signature.key_id != id || signature.key_name != witness.name) {
            continue;
        }
        if (signature.signature.size() != kTimeBytes + crypto::kEd25519SignatureBytes) {
            return fail(Code::unauthenticated, "kt.cosignature",
                        "The cosignature has the wrong length.");
        }
        std::uint64_t seconds = 0;
        for (std::size_t i = 0; i < kTimeBytes; ++i) {
            seconds = seconds << 8 | signature.signature[i];
        }
        const std::string message = cosignature_message(note.text, seconds);
        if (seconds > INT64_MAX ||
            !crypto::ed25519_verify(witness.public_key, as_bytes(message),
                                    ByteView(signature.signature).subspan(kTimeBytes))) {
            return fail(Code::unauthenticated, "kt.cosignature", "The cosignature is wrong.");
        }
        newest = std::max(newest.value_or(0), seconds);
    }
    if (!newest) {
        return fail(Code::unauthenticated, "kt.cosignature",
                    "The checkpoint is not cosigned by this witness.");
    }
    return *newest;
}

}  // namespace nave::prekeys::kt
