#include "prekeys/kt/checkpoint.h"

#include "base/encoding.h"
#include "base/entropy.h"

#include <gtest/gtest.h>

namespace nave::prekeys::kt {
namespace {

// The note text shown in the C2SP tlog-checkpoint specification.
constexpr std::string_view kText =
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

crypto::Ed25519SigningKey test_key(std::uint64_t seed) {
    SeededEntropy entropy(seed);
    return crypto::Ed25519SigningKey::generate(entropy);
}

NoteKey public_half(const crypto::Ed25519SigningKey& key, std::string name,
                    NoteKeyType type = NoteKeyType::ed25519) {
    return {.name = std::move(name), .type = type, .public_key = key.public_key()};
}

std::string text_problem(std::string_view text) {
    const auto checkpoint = parse_checkpoint_text(text);
    return checkpoint ? "" : checkpoint.error().id;
}

NoteSignature cosign(const Note& note, const NoteKey& witness, const crypto::Ed25519SigningKey& key,
                     std::uint64_t seconds) {
    NoteSignature signature{.key_name = witness.name, .key_id = witness.id(), .signature = {}};
    append_be(signature.signature, seconds);
    append(signature.signature, key.sign(as_bytes(cosignature_message(note.text, seconds))));
    return signature;
}

TEST(Checkpoint, TextRoundTrips) {
    const Checkpoint checkpoint = parse_checkpoint_text(kText).value();
    EXPECT_EQ(checkpoint.origin, "example.com/behind-the-sofa");
    EXPECT_EQ(checkpoint.size, 20852163U);
    EXPECT_EQ(base64(checkpoint.root), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    EXPECT_TRUE(checkpoint.extensions.empty());
    EXPECT_EQ(checkpoint_text(checkpoint), kText);
    const std::string extended = std::string(kText) + "one\ntwo words\n";
    const Checkpoint with = parse_checkpoint_text(extended).value();
    EXPECT_EQ(with.extensions, (std::vector<std::string>{"one", "two words"}));
    EXPECT_EQ(checkpoint_text(with), extended);
}

TEST(Checkpoint, MalformedTextIsRefused) {
    const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    EXPECT_EQ(text_problem("o\n1\n" + root), "");
    for (const std::string& bad : {
             std::string(),
             std::string("\n"),
             std::string("o\n1\n"),
             "o\n1\n" + root.substr(0, root.size() - 1),  // no final newline
             "\n1\n" + root,                              // empty origin
             "o\n\n" + root,                              // empty size
             "o\n01\n" + root,                            // leading zero
             "o\n-1\n" + root,                            //
             "o\n+1\n" + root,                            //
             "o\n1 \n" + root,                            //
             "o\n0x1\n" + root,                           //
             "o\n18446744073709551616\n" + root,          // over 64 bits
             "o\n9223372036854775807\n" + root,           // over kTreeSizeMax
             "o\n0\n" + root,                             // not the empty tree's root
             std::string("o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n"),   // unpadded
             std::string("o\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n"),  // URL alphabet
             std::string("o\n1\nAAAA\n"),                                          // short
             "o\n1\n" + root + "\n",                           // empty extension
             "o\n1\n" + root + "a\n\nb\n",                     //
             "o\n1\n" + root + std::string(5000, 'x') + "\n",  // too large
         }) {
        EXPECT_EQ(text_problem(bad), "kt.checkpoint") << bad;
    }
    EXPECT_EQ(text_problem("o\n0\n" + base64(empty_root()) + "\n"), "");
}

TEST(Checkpoint, SignedByTheLogAndByNobodyElse) {
    const auto key = test_key(1);
    const Checkpoint checkpoint{
        .origin = "keys.example/kt", .size = 7, .root = Hash{1}, .extensions = {}};
    const std::string note = sign_checkpoint(checkpoint, key);
    EXPECT_EQ(open_checkpoint(note, public_half(key, "keys.example/kt")).value(), checkpoint);
    EXPECT_EQ(open_checkpoint(note, public_half(test_key(2), "keys.example/kt")).error().id,
              "kt.signature");
    EXPECT_EQ(open_checkpoint(note, public_half(key, "other.example/kt")).error().id,
              "kt.signature");
    std::string changed = note;
    changed[changed.find("\n7\n") + 1] = '8';
    EXPECT_EQ(open_checkpoint(changed, public_half(key, "keys.example/kt")).error().id,
              "kt.signature");
}

TEST(Checkpoint, OriginMustBeTheKeysName) {
    const auto key = test_key(1);
    Note note;
    note.text = checkpoint_text(
        {.origin = "other.example/kt", .size = 7, .root = Hash{1}, .extensions = {}});
    note.signatures.push_back(sign_note(note.text, "keys.example/kt", key));
    EXPECT_EQ(open_checkpoint(format_note(note), public_half(key, "keys.example/kt")).error().id,
              "kt.checkpoint");
}

TEST(Checkpoint, CosignaturesTravelWithTheNoteAndVerify) {
    const auto log_key = test_key(1);
    const auto witness_key = test_key(2);
    const NoteKey witness = public_half(witness_key, "witness.example", NoteKeyType::cosignature);
    const Checkpoint checkpoint{
        .origin = "keys.example/kt", .size = 7, .root = Hash{1}, .extensions = {}};
    Note note = parse_note(sign_checkpoint(checkpoint, log_key)).value();
    EXPECT_EQ(verify_cosignature(note, witness).error().id, "kt.cosignature") << "none yet";
    note.signatures.push_back(cosign(note, witness, witness_key, 1'700'000'000));
    note.signatures.push_back(cosign(note, witness, witness_key, 1'600'000'000));

    const Note parsed = parse_note(format_note(note)).value();
    EXPECT_EQ(verify_cosignature(parsed, witness).value(), 1'700'000'000U);
    EXPECT_EQ(open_checkpoint(format_note(note), public_half(log_key, "keys.example/kt")).value(),
              checkpoint);

    for (const std::size_t at : {0U, 7U, 8U, 71U}) {
        Note changed = parsed;
        changed.signatures[1].signature[at] ^= 1;
        EXPECT_EQ(verify_cosignature(changed, witness).error().id, "kt.cosignature") << at;
    }
    Note changed = parsed;
    changed.signatures[1].signature.pop_back();
    EXPECT_EQ(verify_cosignature(changed, witness).error().id, "kt.cosignature");
    changed = parsed;
    changed.text[0] = 'K';
    EXPECT_EQ(verify_cosignature(changed, witness).error().id, "kt.cosignature");
    // A time beyond 2^63 - 1, properly signed.
    changed = parsed;
    changed.signatures = {cosign(changed, witness, witness_key, UINT64_MAX)};
    EXPECT_EQ(verify_cosignature(changed, witness).error().id, "kt.cosignature");
}

}  // namespace
}  // namespace nave::prekeys::kt
