#include "prekeys/kt/note.h"

#include "base/encoding.h"
#include "base/entropy.h"

#include <gtest/gtest.h>

namespace nave::prekeys::kt {
namespace {

// The example of the C2SP signed-note specification.
constexpr std::string_view kVkey =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr std::string_view kNote =
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKu"
    "wHjG1Yu72IneyaQM=\n";

crypto::Ed25519SigningKey test_key(std::uint64_t seed) {
    SeededEntropy entropy(seed);
    return crypto::Ed25519SigningKey::generate(entropy);
}

NoteKey public_half(const crypto::Ed25519SigningKey& key, std::string name) {
    return {.name = std::move(name), .type = NoteKeyType::ed25519, .public_key = key.public_key()};
}

std::string note_problem(std::string_view text) {
    const auto note = parse_note(text);
    return note ? "" : note.error().id;
}

std::string vkey_problem(std::string_view text) {
    const auto key = NoteKey::parse(text);
    return key ? "" : key.error().id;
}

TEST(Note, SpecificationExampleVerifies) {
    const NoteKey key = NoteKey::parse(kVkey).value();
    EXPECT_EQ(key.name, "example.com/foo");
    EXPECT_EQ(key.id(), 0x530d903aU);
    EXPECT_EQ(key.vkey(), kVkey);
    const Note note = parse_note(kNote).value();
    EXPECT_EQ(note.text, "This is an example message.\n");
    ASSERT_EQ(note.signatures.size(), 1U);
    EXPECT_TRUE(verify_note(note, key));
    EXPECT_EQ(format_note(note), kNote);
}

TEST(Note, SignedNotesRoundTrip) {
    const auto key = test_key(1);
    Note note;
    note.text = "first\n\nthird, after an empty line: ed è subito sera\n";
    note.signatures.push_back(sign_note(note.text, "log.example/a", key));
    const Note parsed = parse_note(format_note(note)).value();
    EXPECT_EQ(parsed.text, note.text);
    EXPECT_TRUE(verify_note(parsed, public_half(key, "log.example/a")));
}

TEST(Note, OtherKeysSignaturesAreIgnored) {
    const auto log = test_key(1);
    const auto stranger = test_key(2);
    Note note;
    note.text = "text\n";
    note.signatures.push_back(sign_note(note.text, "stranger", stranger));
    EXPECT_EQ(verify_note(note, public_half(log, "log")).error().id, "kt.signature");
    note.signatures.push_back(sign_note(note.text, "log", log));
    NoteSignature post_quantum;
    post_quantum.key_name = "log";
    post_quantum.key_id = 1;
    post_quantum.signature = Bytes(2428, 1);
    note.signatures.push_back(post_quantum);
    const Note parsed = parse_note(format_note(note)).value();
    EXPECT_EQ(parsed.signatures.size(), 3U);
    EXPECT_TRUE(verify_note(parsed, public_half(log, "log")));
    EXPECT_TRUE(verify_note(parsed, public_half(stranger, "stranger")));
    EXPECT_FALSE(verify_note(parsed, public_half(log, "stranger")));
}

TEST(Note, AWrongSignatureByTheKeyCondemnsTheNote) {
    const auto log = test_key(1);
    Note note;
    note.text = "text\n";
    note.signatures.push_back(sign_note(note.text, "log", log));
    note.signatures.push_back(note.signatures[0]);
    EXPECT_TRUE(verify_note(note, public_half(log, "log")));
    note.signatures[1].signature[5] ^= 1;
    EXPECT_EQ(verify_note(note, public_half(log, "log")).error().id, "kt.signature");
    note.signatures[1].signature.pop_back();
    EXPECT_EQ(verify_note(note, public_half(log, "log")).error().id, "kt.signature");
}

TEST(Note, EveryChangedByteIsNoticed) {
    const NoteKey key = NoteKey::parse(kVkey).value();
    for (std::size_t i = 0; i < kNote.size(); ++i) {
        for (const char replacement : {'A', '\n', ' ', '='}) {
            std::string changed(kNote);
            if (changed[i] == replacement) {
                continue;
            }
            changed[i] = replacement;
            const auto note = parse_note(changed);
            EXPECT_FALSE(note && verify_note(*note, key)) << i << " -> " << replacement;
        }
    }
}

TEST(Note, MalformedNotesAreRefused) {
    const std::string signature = std::string(kNote.substr(kNote.find("\u2014")));
    EXPECT_EQ(note_problem("text\n\n" + signature), "");
    for (const std::string& bad : {
             std::string(),
             std::string("\n"),
             std::string("\n\n"),
             std::string("text\n"),
             std::string("text\n\n"),
             "text\n" + signature,                                    // no blank line
             "text\n\n" + signature.substr(0, signature.size() - 1),  // no final newline
             "text\n\n" + signature + "\n",                           // blank line at the end
             "text\n\n" + signature + "trailing\n",                   //
             "te\rxt\n\n" + signature,                                // control character
             "te\txt\n\n" + signature,                                //
             std::string("te\0xt\n\n", 7) + signature,                //
             "te\xffxt\n\n" + signature,                              // not UTF-8
             std::string("text\n\n- name AAAAAAA=\n"),                // hyphen, not em dash
             std::string("text\n\n\u2014 name\n"),                    // no signature
             std::string("text\n\n\u2014 name \n"),                   //
             std::string("text\n\n\u2014  AAAAAAA=\n"),               // empty name
             std::string("text\n\n\u2014 na+me AAAAAAA=\n"),          // plus
             std::string("text\n\n\u2014 na\u00a0me AAAAAAA=\n"),     // no-break space
             std::string("text\n\n\u2014 name AAAAAAA= x\n"),         // a third field
             std::string("text\n\n\u2014 name AAAAAA==\n"),           // key id alone
             std::string("text\n\n\u2014 name AAAAAAA\n"),            // unpadded
             std::string("text\n\n\u2014 name AAAAAAB=\n"),           // unused bits set
             std::string("text\n\n\u2014 name AAAA_AA=\n"),           // URL alphabet
         }) {
        EXPECT_EQ(note_problem(bad), "kt.note") << bad;
    }
    EXPECT_EQ(note_problem("text\n\n\u2014 name AAAAAAA=\n"), "");
}

TEST(Note, SizeAndSignatureCountAreBounded) {
    const std::string line = "\u2014 name AAAAAAA=\n";
    std::string note = "text\n\n";
    for (std::size_t i = 0; i < kNoteSignaturesMax; ++i) {
        note += line;
    }
    EXPECT_EQ(note_problem(note), "");
    EXPECT_EQ(note_problem(note + line), "kt.note");
    EXPECT_EQ(note_problem(std::string(kNoteBytesMax, 'a') + "\n\n" + line), "kt.note");
}

TEST(Note, MalformedVerifierKeysAreRefused) {
    EXPECT_EQ(vkey_problem(kVkey), "");
    const std::string key(kVkey.substr(kVkey.rfind('+') + 1));
    for (const std::string& bad : {
             std::string(), std::string("example.com/foo"), std::string("example.com/foo+530d903a"),
             "+530d903a+" + key,                               // no name
             "example.com/fo+530d903a+" + key,                 // id of another name
             "example.com/foo+530d903b+" + key,                // wrong id
             "example.com/foo+530D903A+" + key,                // upper case
             "example.com/foo+0530d903a+" + key,               // too long
             "example.com/foo+530d903a+" + key + "AAAA",       // longer key
             "example.com/foo+530d903a+" + key.substr(0, 40),  // shorter key
             "exam ple.com/foo+530d903a+" + key,               // space
         }) {
        EXPECT_EQ(vkey_problem(bad), "kt.vkey") << bad;
    }
    // Well-formed, with the right id, but not a usable key: unknown type, then a small-order point.
    NoteKey weak{.name = "n", .type = static_cast<NoteKeyType>(0x02), .public_key = {}};
    weak.public_key = NoteKey::parse(kVkey)->public_key;
    EXPECT_EQ(vkey_problem(weak.vkey()), "kt.vkey");
    weak.type = NoteKeyType::ed25519;
    EXPECT_EQ(vkey_problem(weak.vkey()), "");
    weak.public_key = {1};
    EXPECT_EQ(vkey_problem(weak.vkey()), "kt.vkey");
}

TEST(Note, OneKeyHasOneIdPerTypeAndName) {
    NoteKey key = NoteKey::parse(kVkey).value();
    const auto id = key.id();
    key.type = NoteKeyType::cosignature;
    EXPECT_NE(key.id(), id);
    EXPECT_EQ(NoteKey::parse(key.vkey())->type, NoteKeyType::cosignature);
    key.type = NoteKeyType::ed25519;
    key.name = "other";
    EXPECT_NE(key.id(), id);
}

TEST(Note, KeyNames) {
    for (const std::string_view good : {"a", "example.com/foo", "schlüssel"}) {
        EXPECT_TRUE(is_note_key_name(good)) << good;
    }
    for (const std::string& bad :
         {std::string(), std::string("a b"), std::string("a+b"), std::string("a\nb"),
          std::string("a\u2003b"), std::string("a\u3000"), std::string("\xc3"),
          std::string(1000, 'a')}) {
        EXPECT_FALSE(is_note_key_name(bad)) << bad;
    }
}

}  // namespace
}  // namespace nave::prekeys::kt
