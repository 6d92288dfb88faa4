#include "broker/invite.h"

#include "base/encoding.h"
#include "broker/hex_key.h"
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <functional>

namespace nave::broker {
namespace {

// Made with Node: the owner's Ed25519 key from a seed of 32 bytes 03, the signature over the eight
// values of the object joined with "|", the token as Buffer.from(JSON.stringify(invite))
// .toString("base64url"), and its SHA-256.
const std::string kOwner = "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1";
const std::string kSignature =
    "9083c601eead24af9c5a44f30d58b010805ebbb86a1507d021c8bef77a826348"
    "e75ccbbf645e02dad0e24c3eee88e89458369e3717b2cdcb05970024b7eff70f";
const std::string kTokenHash = "ef3330104d4a0c9d5369ede19dfc11a21998fbb7cdb93c85bb844d926d640bdb";
constexpr std::int64_t kExpires = 1'700'086'400;

crypto::Ed25519SigningKey owner_key() {
    return std::move(*crypto::Ed25519SigningKey::from_seed(Bytes(32, 3)));
}

InviteTerms terms() {
    return {"MeshMeshMeshMeshMeshMeshMesh0001",
            "\xc3\xa9quipe-1",
            "wss://broker.example/ws",
            kExpires,
            Secret("CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"),
            Role::member};
}

SignedInvite good_invite() {
    return std::move(*make_invite(terms(), owner_key()));
}

json::Object good_object() {
    const Secret token = invite_token(good_invite());
    return json::parse(as_text(*base64_decode(token.reveal())))->get_object();
}

TEST(Invites, AreByteForByteWhatNodeMakes) {
    const SignedInvite invite = good_invite();
    EXPECT_EQ(hex_key(invite.owner_key), kOwner);
    EXPECT_EQ(invite.signature, kSignature);
    EXPECT_EQ(hex(crypto::sha256(as_bytes(invite_token(invite).reveal()))), kTokenHash);
}

TEST(Invites, ReadBackAndVerify) {
    const Secret token = invite_token(good_invite());
    const auto invite = parse_invite_token(token.reveal());
    ASSERT_TRUE(invite) << invite.error().message;
    EXPECT_EQ(invite->terms.mesh_id, terms().mesh_id);
    EXPECT_EQ(invite->terms.mesh_slug, terms().mesh_slug);
    EXPECT_EQ(invite->terms.broker_url, terms().broker_url);
    EXPECT_EQ(invite->terms.expires_at_s, kExpires);
    EXPECT_EQ(invite->terms.mesh_root_key.reveal(), terms().mesh_root_key.reveal());
    EXPECT_EQ(invite->terms.role, Role::member);
    EXPECT_EQ(hex_key(invite->owner_key), kOwner);
    EXPECT_TRUE(verify_invite(*invite));
    EXPECT_TRUE(token_holds(token.reveal(), *invite));
}

TEST(Invites, EveryFieldIsCovered) {
    struct Case {
        std::string_view what;
        std::function<void(SignedInvite&)> change;
    };
    const Case cases[] = {
        {"mesh", [](auto& i) { i.terms.mesh_id.back() = '2'; }},
        {"slug", [](auto& i) { i.terms.mesh_slug += "x"; }},
        {"url", [](auto& i) { i.terms.broker_url = "wss://evil.example/ws"; }},
        {"expiry", [](auto& i) { i.terms.expires_at_s += 1; }},
        {"root key", [](auto& i) { i.terms.mesh_root_key = Secret("AAAA"); }},
        {"role", [](auto& i) { i.terms.role = Role::admin; }},
        {"owner", [](auto& i) { i.owner_key[0] ^= 1; }},
        {"signature", [](auto& i) { i.signature[0] = '8'; }},
        {"signature missing", [](auto& i) { i.signature.clear(); }},
        {"signature is no hex", [](auto& i) { i.signature[5] = 'z'; }},
    };
    const Secret token = invite_token(good_invite());
    for (const Case& test : cases) {
        SignedInvite invite = good_invite();
        test.change(invite);
        const auto verified = verify_invite(invite);
        ASSERT_FALSE(verified) << test.what;
        EXPECT_EQ(verified.error().id, "invite_bad_signature") << test.what;
        EXPECT_FALSE(token_holds(token.reveal(), invite)) << test.what;
    }
}

// A newcomer with a spent admin invite and a live member invite of the same mesh.
TEST(Invites, APayloadDoesNotRideOnAnothersToken) {
    InviteTerms other = terms();
    other.role = Role::admin;
    const auto admin = make_invite(std::move(other), owner_key());
    ASSERT_TRUE(admin);
    ASSERT_TRUE(verify_invite(*admin));
    EXPECT_FALSE(token_holds(invite_token(good_invite()).reveal(), *admin));
    EXPECT_TRUE(token_holds(invite_token(*admin).reveal(), *admin));
    EXPECT_FALSE(token_holds("", *admin));
    EXPECT_FALSE(token_holds("garbage", *admin));
}

TEST(Invites, ASelfMadeInviteVerifiesOnlyForItsMaker) {
    const auto stranger = crypto::Ed25519SigningKey::from_seed(Bytes(32, 4));
    const auto invite = make_invite(terms(), *stranger);
    ASSERT_TRUE(invite);
    EXPECT_TRUE(verify_invite(*invite));
    EXPECT_NE(hex_key(invite->owner_key), kOwner) << "what invite_owner_mismatch is for";
}

TEST(Invites, ExpireAtTheirSecond) {
    EXPECT_FALSE(is_expired(good_invite(), kExpires * 1'000 - 1));
    EXPECT_TRUE(is_expired(good_invite(), kExpires * 1'000));
}

TEST(Invites, MakingRefusesWhatCouldBeReadOtherwise) {
    const std::function<void(InviteTerms&)> changes[] = {
        [](auto& t) { t.mesh_id.clear(); },
        [](auto& t) { t.mesh_id = "a|b"; },
        [](auto& t) { t.mesh_slug = "a|wss://evil.example"; },
        [](auto& t) { t.mesh_slug = "\xff"; },
        [](auto& t) { t.broker_url = "wss://host/|"; },
        [](auto& t) { t.broker_url = std::string(2'049, 'x'); },
        [](auto& t) { t.mesh_root_key = Secret("a|b"); },
        [](auto& t) { t.mesh_root_key = Secret(); },
        [](auto& t) { t.expires_at_s = 0; },
        [](auto& t) { t.expires_at_s = -5; },
        [](auto& t) { t.expires_at_s = 1'700'000'000'000; },
    };
    for (const auto& change : changes) {
        InviteTerms changed = terms();
        change(changed);
        const auto invite = make_invite(std::move(changed), owner_key());
        ASSERT_FALSE(invite) << &change - changes;
        EXPECT_EQ(invite.error().id, "invalid_argument");
    }
}

TEST(InviteShape, IsRefusedWithTheFieldsName) {
    struct Case {
        std::string_view message;
        std::function<void(json::Object&)> change;
    };
    const Case cases[] = {
        {"invite: v is missing.", [](auto& o) { o.erase("v"); }},
        {"invite: v must be an integer from 1 to 1.", [](auto& o) { o["v"] = 2; }},
        {"invite: mesh_id is missing.", [](auto& o) { o.erase("mesh_id"); }},
        {"invite: mesh_id must be a string.", [](auto& o) { o["mesh_id"] = 7; }},
        {"invite: mesh_id must be 1 to 128 bytes without |.", [](auto& o) { o["mesh_id"] = ""; }},
        {"invite: mesh_slug must be 1 to 128 bytes without |.",
         [](auto& o) { o["mesh_slug"] = "a|b"; }},
        {"invite: mesh_slug is longer than 128 bytes.",
         [](auto& o) { o["mesh_slug"] = std::string(129, 'x'); }},
        {"invite: broker_url is missing.", [](auto& o) { o["broker_url"] = nullptr; }},
        {"invite: expires_at must be an integer from 1 to 253402300799.",
         [](auto& o) { o["expires_at"] = "1700086400"; }},
        {"invite: expires_at must be an integer from 1 to 253402300799.",
         [](auto& o) { o["expires_at"] = 1'700'086'400'000; }},
        {"invite: mesh_root_key is missing.", [](auto& o) { o.erase("mesh_root_key"); }},
        {"invite: role must be admin or member.", [](auto& o) { o["role"] = "owner"; }},
        {"invite: owner_pubkey must be 64 lower-case hex characters.",
         [](auto& o) { o["owner_pubkey"] = std::string(64, 'A'); }},
        {"invite: signature is missing.", [](auto& o) { o.erase("signature"); }},
    };
    for (const Case& test : cases) {
        json::Object object = good_object();
        test.change(object);
        const auto invite = parse_invite(object);
        ASSERT_FALSE(invite) << test.message;
        EXPECT_EQ(invite.error().id, "invalid_argument");
        EXPECT_EQ(invite.error().code, Code::invalid);
        EXPECT_EQ(invite.error().message, test.message);
    }
}

TEST(InviteShape, MembersThatAreNotSignedAreIgnored) {
    json::Object object = good_object();
    object["note"] = "hello";
    const auto invite = parse_invite(object);
    ASSERT_TRUE(invite);
    EXPECT_TRUE(verify_invite(*invite));
}

TEST(InviteShape, TokensThatHoldNoInvite) {
    for (const std::string& token :
         {std::string(), std::string("%%%"), std::string("A"), base64url(as_bytes("[1]")),
          base64url(as_bytes("{}")), base64url(as_bytes("{\"v\":1")),
          base64url(as_bytes(R"({"v":1,"v":1})")), std::string(8'193, 'A')}) {
        const auto invite = parse_invite_token(token);
        ASSERT_FALSE(invite) << token.substr(0, 20);
        EXPECT_EQ(invite.error().id, "invalid_argument");
    }
}

TEST(InviteLinks, GiveTheirToken) {
    EXPECT_EQ(invite_link(Secret("abc-_9")).reveal(), "ic://join/abc-_9");
    for (const std::string_view link :
         {"ic://join/abc-_9", "abc-_9", "  abc-_9\n", "https://mesh.example/join/abc-_9",
          "https://mesh.example/en/join/abc-_9", "https://mesh.example/pt-BR/join/abc-_9",
          "http://localhost:3000/join/abc-_9", "https://mesh.example/join/abc-_9?from=mail",
          "ic://join/abc-_9#top"}) {
        const auto token = token_of_link(link);
        ASSERT_TRUE(token) << link;
        EXPECT_EQ(token->reveal(), "abc-_9") << link;
    }
}

TEST(InviteLinks, RefuseOthers) {
    for (const std::string& link :
         {std::string(), std::string("ic://join/"), std::string("ic://leave/abc"),
          std::string("ic://join/a/b"), std::string("ic://join/a+b"), std::string("ic://join/ab="),
          std::string("https://mesh.example/abc"), std::string("https://mesh.example/join/"),
          std::string("https:///join/abc"), std::string("https://mesh.example"),
          std::string("https://mesh.example/a/b/join/abc"),
          std::string("https://mesh.example/join/abc/d"), std::string("ftp://mesh.example/join/a"),
          std::string("https://mesh.example//join/abc"), std::string("join/abc"),
          std::string("two words"), std::string(8'193, 'a')}) {
        const auto token = token_of_link(link);
        ASSERT_FALSE(token) << link.substr(0, 60);
        EXPECT_EQ(token.error().id, "invalid_argument");
    }
}

TEST(Roles, AreTwo) {
    EXPECT_EQ(parse_role("admin"), Role::admin);
    EXPECT_EQ(parse_role("member"), Role::member);
    EXPECT_EQ(role_name(Role::admin), "admin");
    EXPECT_EQ(role_name(Role::member), "member");
    for (const std::string_view wrong : {"", "Admin", "owner", "member "}) {
        EXPECT_FALSE(parse_role(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace nave::broker
