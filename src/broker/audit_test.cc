#include "broker/audit.h"

#include "broker/hex_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace nave::broker {
namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
const std::string kMesh = "MeshMeshMeshMeshMeshMeshMesh0001";
const std::string kMember = "MemberMemberMemberMemberMember01";
const std::string kKeyText = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

// Made with Node: crypto.createHash("sha256") over the parts joined with "|", the payload written
// by a recursive JSON.stringify with Object.keys(...).sort(), times by Date.toISOString().
constexpr std::string_view kHash1 =
    "7b2e3369923acf411e66ad6770ce45e65b3fbb7a3f5d394b246ce87a762d8a52";
constexpr std::string_view kHash2 =
    "ddc03f15f2107a0ce2e94b7fb95c5d7dcf1cd63137a8d129f6063d4aace3be3d";
constexpr std::string_view kHash3 =
    "5496e87164d3b74dae93e081f07e06c4996affafc0bd0897d3a273152f8d9a8e";

AuditEvent joined() {
    return AuditEvent::peer_joined(*parse_hex_key(kKeyText), "Zo\xc3\xab \"Z\"");
}

std::vector<AuditRecord> chain() {
    std::vector<AuditRecord> records;
    records.push_back(next_record(kAuditGenesis, kMesh, kMember, joined(), kNow));
    records.push_back(
        next_record(records[0].hash, kMesh, kMember, AuditEvent::state_set("build|x"), kNow + 1));
    // A record of another version, with a payload as a jsonb column gives it back.
    records.push_back({0, kMesh, "member_banned", "",
                       R"({"name": "Bob", "target": )"
                       R"("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394", )"
                       R"("nested": {"b": [3, {"z": 1, "a": null}], "a": true}})",
                       records[1].hash, std::string(kHash3), kNow + 60'001});
    for (std::size_t i = 0; i < records.size(); ++i) {
        records[i].id = static_cast<std::int64_t>(i) + 41;
    }
    return records;
}

TEST(Audit, HashesAreThoseMadeElsewhere) {
    const auto records = chain();
    EXPECT_EQ(records[0].payload, R"({"displayName":"Zo)"
                                  "\xc3\xab"
                                  R"( \"Z\"","pubkey":")" +
                                      kKeyText + R"("})");
    EXPECT_EQ(records[0].prev_hash, "genesis");
    EXPECT_EQ(records[0].hash, kHash1);
    EXPECT_EQ(records[1].prev_hash, kHash1);
    EXPECT_EQ(records[1].hash, kHash2);
    EXPECT_EQ(verify_records(records), std::string(kHash3));
}

TEST(Audit, VerifiesInPages) {
    const auto records = chain();
    EXPECT_EQ(verify_records({}), "genesis");
    EXPECT_EQ(verify_records({}, kHash1), std::string(kHash1));
    const auto first = verify_records(std::span(records).first(1));
    ASSERT_EQ(first, std::string(kHash1));
    EXPECT_EQ(verify_records(std::span(records).subspan(1), *first), std::string(kHash3));
    EXPECT_EQ(verify_records(std::span(records).subspan(1)).error(),
              (AuditBreak{42, AuditFault::broken_link}));
}

struct Tampering {
    std::string_view what;
    std::function<void(std::vector<AuditRecord>&)> change;
    AuditBreak found;
};

TEST(Audit, FindsEveryChange) {
    const Tampering cases[] = {
        {"type", [](auto& r) { r[1].type = "peer_left"; }, {42, AuditFault::wrong_hash}},
        {"actor", [](auto& r) { r[1].actor_member_id = kMesh; }, {42, AuditFault::wrong_hash}},
        {"actor removed",
         [](auto& r) { r[1].actor_member_id.clear(); },
         {42, AuditFault::wrong_hash}},
        {"actor added",
         [](auto& r) { r[2].actor_member_id = kMember; },
         {43, AuditFault::wrong_hash}},
        {"mesh", [](auto& r) { r[0].mesh_id = kMember; }, {41, AuditFault::wrong_hash}},
        {"time by a millisecond",
         [](auto& r) { r[0].created_at += 1; },
         {41, AuditFault::wrong_hash}},
        {"payload",
         [](auto& r) { r[1].payload = R"({"key":"build|y"})"; },
         {42, AuditFault::wrong_hash}},
        {"payload's type",
         [](auto& r) { r[1].payload = R"("build|x")"; },
         {42, AuditFault::wrong_hash}},
        {"payload cut", [](auto& r) { r[1].payload.pop_back(); }, {42, AuditFault::unreadable}},
        {"payload with a float",
         [](auto& r) { r[1].payload = R"({"key":1.5})"; },
         {42, AuditFault::unreadable}},
        {"payload with two members of one name",
         [](auto& r) { r[1].payload = R"({"key":"a","key":"build|x"})"; },
         {42, AuditFault::unreadable}},
        {"payload empty", [](auto& r) { r[1].payload.clear(); }, {42, AuditFault::unreadable}},
        {"hash", [](auto& r) { r[1].hash[0] = 'e'; }, {42, AuditFault::wrong_hash}},
        {"link", [](auto& r) { r[1].prev_hash[0] = '0'; }, {42, AuditFault::broken_link}},
        {"first one removed", [](auto& r) { r.erase(r.begin()); }, {42, AuditFault::broken_link}},
        {"one removed", [](auto& r) { r.erase(r.begin() + 1); }, {43, AuditFault::broken_link}},
        {"two exchanged", [](auto& r) { std::swap(r[1], r[2]); }, {43, AuditFault::broken_link}},
        {"one repeated",
         [](auto& r) { r.insert(r.begin() + 1, r[0]); },
         {41, AuditFault::broken_link}},
        {"one made up, with a good hash of its own",
         [](auto& r) {
             r.insert(r.begin() + 1, next_record(r[0].hash, kMesh, kMember, joined(), kNow));
         },
         {42, AuditFault::broken_link}},
    };
    for (const Tampering& test : cases) {
        auto records = chain();
        test.change(records);
        const auto verified = verify_records(records);
        ASSERT_FALSE(verified) << test.what;
        EXPECT_EQ(verified.error().id, test.found.id) << test.what;
        EXPECT_EQ(fault_name(verified.error().fault), fault_name(test.found.fault)) << test.what;
    }
}

TEST(Audit, EventsSayWhatHappenedAndNothingElse) {
    Member member;
    member.id = kMember;
    member.key = *parse_hex_key(kKeyText);
    member.display_name = "Zed";
    member.role = Role::admin;
    const std::string about_member = R"({"displayName":"Zed","memberId":")" + kMember +
                                     R"(","pubkey":")" + kKeyText + R"(","role":"admin"})";
    const std::string about_peer = R"({"displayName":"Zed","pubkey":")" + kKeyText + R"("})";
    struct Case {
        AuditEvent event;
        std::string_view type;
        std::string payload;
    };
    const Case cases[] = {
        {AuditEvent::peer_joined(member.key, "Zed"), "peer_joined", about_peer},
        {AuditEvent::peer_left(member.key, "Zed"), "peer_left", about_peer},
        {AuditEvent::message_sent("m1", "@ops", Priority::low), "message_sent",
         R"({"messageId":"m1","priority":"low","targetSpec":"@ops"})"},
        {AuditEvent::state_set("k"), "state_set", R"({"key":"k"})"},
        {AuditEvent::member_joined(member), "member_joined", about_member},
        {AuditEvent::member_banned(member), "member_banned", about_member},
        {AuditEvent::member_unbanned(member), "member_unbanned", about_member},
        {AuditEvent::mesh_created("home"), "mesh_created", R"({"slug":"home"})"},
        {AuditEvent::mesh_archived(), "mesh_archived", "{}"},
        {AuditEvent::invite_created("i1", Role::member, 5, kNow), "invite_created",
         R"({"expiresAt":"2023-11-14T22:13:20.000Z","inviteId":"i1","maxUses":5,"role":"member"})"},
        {AuditEvent::invite_revoked("i1"), "invite_revoked", R"({"inviteId":"i1"})"},
        {AuditEvent::api_key_created("a1", "ci"), "api_key_created",
         R"({"apiKeyId":"a1","label":"ci"})"},
        {AuditEvent::api_key_revoked("a1"), "api_key_revoked", R"({"apiKeyId":"a1"})"},
    };
    for (const Case& test : cases) {
        const AuditRecord record = next_record("genesis", kMesh, "", test.event, kNow);
        EXPECT_EQ(record.type, test.type);
        EXPECT_EQ(record.payload, test.payload) << test.type;
        EXPECT_TRUE(verify_records(std::span(&record, 1))) << test.type;
    }
}

}  // namespace
}  // namespace nave::broker
