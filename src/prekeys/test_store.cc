#include "prekeys/test_store.h"

namespace nave::prekeys {

using storage::Transaction;

namespace {

// One migrated database on the server for all tests, because making one takes longer than most of
// them.
std::optional<storage::Address>& shared_postgres() {
    static std::optional<storage::Address> address;
    return address;
}

std::string empty_every_table() {
    std::string sql;
    for (const std::string_view table : kTables) {
        if (table != "shade_server_state" && table != "shade_server_kt_head") {
            sql.append("delete from ").append(table).append(";");
        }
    }
    return sql +
           "update shade_server_state set value = 0;"
           "delete from shade_server_state where name <> 'restore_epoch';"
           "update shade_server_kt_head set tree_size = 0, peaks = '', log_key = null;";
}

}  // namespace

void StoreFixture::use_store(storage::Store kind, StorePolicy policy) {
    storage::Options options;
    options.connections = 4;
    const bool is_postgres = kind == storage::Store::postgres;
    if (is_postgres && shared_postgres()) {
        address_ = shared_postgres();
        database_ = another(options);
        ASSERT_TRUE(database_);
        script(empty_every_table());
        set_policy(policy);
        return;
    }
    use(kind, options);
    if (IsSkipped() || HasFatalFailure()) {
        return;
    }
    if (is_postgres) {
        shared_postgres() = address();
    }
    const ManualClock clock(kTestNow);
    const auto migrated = run(storage::migrate(db(), migrations(), clock));
    ASSERT_TRUE(migrated) << migrated.error().detail;
    set_policy(policy);
}

Result<EnrolOutcome> StoreFixture::enrol(TestDevice& device, const TestUpload& what,
                                         UnixMillis at) {
    return run(store().enrol(device.registration(what), device.accepted(at), kTestIndex, at, 1));
}

Result<UploadOutcome> StoreFixture::replenish(TestDevice& device, const TestUpload& what,
                                              UnixMillis at) {
    return run(store().replenish(device.replenishment(what), device.accepted(at), at, 1));
}

Result<void> StoreFixture::remove(TestDevice& device, UnixMillis at) {
    return run(store().remove(device.address(), device.accepted(at), at));
}

Result<std::optional<ClaimedBundle>> StoreFixture::claim(const Address& address, UnixMillis at,
                                                         TestDevice* requester, bool may_consume,
                                                         std::optional<Bytes> claim_hash) {
    std::vector<ClaimTarget> targets;
    targets.push_back({address, may_consume, std::move(claim_hash)});
    std::optional<Store::Requester> who;
    if (requester != nullptr) {
        who = Store::Requester{requester->address(), requester->accepted(at)};
    }
    auto outcome = run(store().claim(std::move(targets), std::move(who), at));
    if (!outcome) {
        return std::unexpected(std::move(outcome).error());
    }
    return std::move(outcome->front());
}

std::vector<KeyId> StoreFixture::claim_ids(const Address& address, std::size_t count,
                                           UnixMillis at) {
    std::vector<ClaimTarget> targets(count, {address, true, std::nullopt});
    const auto outcome = run(store().claim(std::move(targets), std::nullopt, at));
    EXPECT_TRUE(outcome);
    std::vector<KeyId> ids;
    for (std::size_t i = 0; outcome && i < count; ++i) {
        ids.push_back((*outcome)[i] ? one_time_id(*(*outcome)[i]) : -1);
    }
    return ids;
}

std::int64_t StoreFixture::number(std::string sql) {
    const auto value = read([sql = std::move(sql)](Transaction& tx) -> Result<std::int64_t> {
        TRY(const auto row, tx.query_one(sql));
        return row->integer(0);
    });
    EXPECT_TRUE(value) << value.error().detail;
    return value.value_or(-1);
}

json::Object bundle_object(const ClaimedBundle& bundle) {
    return json::parse(bundle.json).value().get_object();
}

namespace {

KeyId id_in(const ClaimedBundle& bundle, std::string_view member) {
    const json::Object object = bundle_object(bundle);
    const json::Value& key = object.at(member);
    return key.is_null() ? 0 : key.get_object().at("keyId").get_int64();
}

}  // namespace

KeyId one_time_id(const ClaimedBundle& bundle) {
    return id_in(bundle, "oneTimePreKey");
}

KeyId kem_id(const ClaimedBundle& bundle) {
    return id_in(bundle, "kemPreKey");
}

bool kem_is_last_resort(const ClaimedBundle& bundle) {
    return bundle_object(bundle).at("kemPreKey").get_object().at("lastResort").get_bool();
}

}  // namespace nave::prekeys
