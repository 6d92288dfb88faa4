#include "app/broker_commands.h"

#include "app/blocking.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/stores.h"
#include "base/check.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "broker/admin.h"
#include "broker/admin_json.h"
#include "broker/hex_key.h"
#include "broker/invite.h"
#include "storage/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

namespace nave::app {
namespace {

using broker::Admin;

Task<Result<void>> require_schema(storage::Database& database) {
    CO_TRY(const auto pending,
           co_await storage::pending_migrations(database, find_service("broker")->migrations()));
    if (!pending.empty()) {
        co_return fail(Code::conflict, "app.migrations_pending",
                       "the broker's schema is missing or behind: run nave migrate broker, or "
                       "start the server");
    }
    co_return ok();
}

// Runs `work` with an Admin on the broker's database and returns the exit status: after `show` with
// the outcome, or that of the failure.
template <class Work, class Show>
int with_admin(const Settings& settings, Work&& work, Show&& show) {
    Loop loop;
    Logger logger("nave", LogLevel::warn, log_format(settings), stderr_sink());
    storage::Options options = storage_options(settings);
    options.create = false;
    options.connections = 1;
    const ServiceEntry* const chosen[] = {find_service("broker")};
    auto stores = Stores::open(loop, logger, settings, chosen, options);
    if (!stores) {
        return complain(stores.error(), kExitStorage);
    }
    storage::Database& database = stores->of(*chosen[0]);
    if (const auto ready = run_blocking(loop, require_schema(database)); !ready) {
        stores->close();
        return complain(ready.error(), kExitMigrations);
    }
    const SystemClock clock;
    SystemEntropy entropy;
    Admin admin(database, clock, entropy, nullptr);
    const auto outcome = run_blocking(loop, work(admin));
    stores->close();
    if (!outcome) {
        return complain(outcome.error(), kExitFailed);
    }
    show(*outcome);
    return kExitOk;
}

Task<Result<std::int64_t>> export_audit(Admin& admin, std::string mesh) {
    std::int64_t after = 0;
    std::int64_t count = 0;
    for (;;) {
        CO_TRY(const auto records, co_await admin.audit_records(mesh, after));
        if (records.empty()) {
            co_return count;
        }
        for (const broker::AuditRecord& record : records) {
            std::string line;
            json::ObjectWriter writer(line);
            broker::write_audit_record(writer, record);
            writer.close();
            fmt::print("{}\n", line);
        }
        if (std::fflush(stdout) != 0) {
            co_return fail(Code::unavailable, "app.output", "the output cannot be written");
        }
        after = records.back().id;
        count += static_cast<std::int64_t>(records.size());
    }
}

// Cells padded to their column; the last column is not.
void print_table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const auto& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i + 1 < row.size(); ++i) {
            line.append(fmt::format("{:<{}}  ", row[i], widths[i]));
        }
        fmt::print("{}{}\n", line, row.back());
    }
}

template <class T>
void print_json(const T& item, void (*append_one)(std::string&, const T&)) {
    std::string text;
    append_one(text, item);
    fmt::print("{}\n", text);
}

// Names come from clients: what would move the cursor of a terminal (C0, DEL, and C1 as UTF-8) is
// not printed.
std::string shown(std::string_view name) {
    std::string text;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto byte = static_cast<unsigned char>(name[i]);
        const auto next = static_cast<unsigned char>(i + 1 < name.size() ? name[i + 1] : 0);
        if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
            ++i;
        } else if (byte >= 0x20 && byte != 0x7f) {
            text.push_back(name[i]);
        }
    }
    return text;
}

std::string time_or_dash(const std::optional<UnixMillis>& time) {
    return time ? rfc3339(*time) : "-";
}

// Of a broker that stands alone on this machine, when nothing says more.
std::string default_url(const Settings& settings) {
    if (settings.has_value("BROKER_PUBLIC_URL")) {
        return settings.text("BROKER_PUBLIC_URL");
    }
    const ServiceEntry& broker = *find_service("broker");
    const std::int64_t port = settings.has_value(broker.port_setting)
                                  ? settings.integer(broker.port_setting)
                                  : broker.home_port;
    return fmt::format("ws://127.0.0.1:{}/ws", port);
}

std::string invite_state(const broker::Invite& invite, UnixMillis now) {
    return invite.revoked_at                      ? "revoked"
           : invite.expires_at <= now             ? "expired"
           : invite.used_count >= invite.max_uses ? "used up"
                                                  : "open";
}

void print_member(const broker::Member& member, std::string_view what, bool as_json) {
    if (as_json) {
        print_json(member, &broker::append_member);
    } else {
        fmt::print("{} member {} ({})\n", what, shown(member.display_name), member.id);
    }
}

}  // namespace

int mesh_create_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.create_mesh(options.mesh); },
        [&](const broker::Mesh& mesh) {
            if (options.as_json) {
                print_json(mesh, &broker::append_mesh);
            } else {
                fmt::print("created mesh {} ({})\n", mesh.slug, mesh.id);
            }
        });
}

int mesh_list_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [](Admin& admin) { return admin.meshes(); },
        [&](const std::vector<broker::Mesh>& meshes) {
            if (options.as_json) {
                fmt::print("{}\n", broker::list_json("meshes", meshes, &broker::append_mesh));
                return;
            }
            std::vector<std::vector<std::string>> rows{
                {"SLUG", "ID", "CREATED", "ARCHIVED", "NAME"}};
            for (const broker::Mesh& mesh : meshes) {
                rows.push_back({mesh.slug, mesh.id, rfc3339(mesh.created_at),
                                time_or_dash(mesh.archived_at), shown(mesh.name)});
            }
            print_table(rows);
        });
}

int mesh_archive_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.archive_mesh(options.mesh); },
        [&](const broker::Mesh& mesh) {
            if (options.as_json) {
                print_json(mesh, &broker::append_mesh);
            } else {
                fmt::print("archived mesh {} ({})\n", mesh.slug, mesh.id);
            }
        });
}

int invite_create_command(const Settings& settings, const BrokerOptions& options) {
    const auto role = broker::parse_role(options.role);
    CHECK(role.has_value(), "the parser of the arguments lets nothing else pass");
    broker::InviteWish wish;
    wish.mesh = options.mesh;
    wish.role = *role;
    wish.max_uses = options.uses;
    wish.valid_for = std::chrono::hours(options.hours);
    wish.broker_url = options.url.empty() ? default_url(settings) : options.url;
    return with_admin(
        settings, [&](Admin& admin) { return admin.create_invite(wish); },
        [&](const broker::MadeInvite& made) {
            if (options.as_json) {
                print_json(made, &broker::append_made_invite);
                return;
            }
            fmt::print("invite  {}\nfor     {} to join as {}, until {}\nlink    {}\n",
                       made.invite.id, made.invite.max_uses, broker::role_name(made.invite.role),
                       rfc3339(made.invite.expires_at), made.link.reveal());
        });
}

int invite_list_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.invites(options.mesh); },
        [&](const std::vector<broker::Invite>& invites) {
            if (options.as_json) {
                fmt::print("{}\n", broker::list_json("invites", invites, &broker::append_invite));
                return;
            }
            const UnixMillis now = SystemClock().now();
            std::vector<std::vector<std::string>> rows{{"ID", "ROLE", "USED", "UNTIL", "STATE"}};
            for (const broker::Invite& invite : invites) {
                rows.push_back({invite.id, std::string(broker::role_name(invite.role)),
                                fmt::format("{}/{}", invite.used_count, invite.max_uses),
                                rfc3339(invite.expires_at), invite_state(invite, now)});
            }
            print_table(rows);
        });
}

int invite_revoke_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.revoke_invite(options.mesh, options.id); },
        [&](const broker::Invite& invite) {
            if (options.as_json) {
                print_json(invite, &broker::append_invite);
            } else {
                fmt::print("revoked invite {}\n", invite.id);
            }
        });
}

int audit_verify_command(const Settings& settings, const BrokerOptions& options) {
    bool holds = false;
    const int code = with_admin(
        settings, [&](Admin& admin) { return admin.verify_audit(options.mesh); },
        [&](const broker::AuditVerdict& verdict) {
            holds = !verdict.broken;
            if (options.as_json) {
                std::string text;
                json::ObjectWriter writer(text);
                broker::write_verdict(writer, verdict);
                writer.close();
                fmt::print("{}\n", text);
            } else if (holds) {
                fmt::print("verified {} records; {} older ones were removed\nhead {}\n",
                           verdict.records, verdict.trimmed, verdict.head);
            } else {
                fmt::print(stderr,
                           "nave: the audit log does NOT verify: {} at record {}, after {} good "
                           "ones\n",
                           broker::fault_name(verdict.broken->fault), verdict.broken->id,
                           verdict.records);
            }
        });
    return code != kExitOk || holds ? code : kExitFailed;
}

int audit_export_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return export_audit(admin, options.mesh); },
        [](std::int64_t) {});
}

int member_list_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.members(options.mesh); },
        [&](const std::vector<broker::Member>& members) {
            if (options.as_json) {
                fmt::print("{}\n", broker::list_json("members", members, &broker::append_member));
                return;
            }
            std::vector<std::vector<std::string>> rows{
                {"ID", "ROLE", "JOINED", "REVOKED", "PUBKEY", "NAME"}};
            for (const broker::Member& member : members) {
                rows.push_back({member.id, std::string(broker::role_name(member.role)),
                                rfc3339(member.joined_at), time_or_dash(member.revoked_at),
                                broker::hex_key(member.key), shown(member.display_name)});
            }
            print_table(rows);
        });
}

int member_revoke_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.revoke_member(options.mesh, options.id); },
        [&](const broker::Member& member) { print_member(member, "revoked", options.as_json); });
}

int member_restore_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.restore_member(options.mesh, options.id); },
        [&](const broker::Member& member) { print_member(member, "restored", options.as_json); });
}

int key_create_command(const Settings& settings, const BrokerOptions& options) {
    broker::ApiKeyWish wish;
    wish.mesh = options.mesh;
    wish.member_id = options.member_id;
    wish.label = options.label;
    wish.may_send = options.may != "receive";
    wish.may_receive = options.may != "send";
    if (options.days > 0) {
        wish.valid_for = std::chrono::hours(24 * options.days);
    }
    return with_admin(
        settings, [&](Admin& admin) { return admin.create_api_key(wish); },
        [&](const broker::MadeApiKey& made) {
            if (options.as_json) {
                print_json(made, &broker::append_made_api_key);
                return;
            }
            fmt::print("key     {}\nuntil   {}\ntoken   {}\n", made.key.id,
                       time_or_dash(made.key.expires_at), made.token.reveal());
        });
}

int key_list_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.api_keys(options.mesh); },
        [&](const std::vector<broker::ApiKey>& keys) {
            if (options.as_json) {
                fmt::print("{}\n", broker::list_json("apiKeys", keys, &broker::append_api_key));
                return;
            }
            std::vector<std::vector<std::string>> rows{
                {"ID", "MEMBER", "MAY", "CREATED", "UNTIL", "REVOKED", "LABEL"}};
            for (const broker::ApiKey& key : keys) {
                const std::string may = !key.may_send      ? "receive"
                                        : !key.may_receive ? "send"
                                                           : "both";
                rows.push_back({key.id, key.member_id, may, rfc3339(key.created_at),
                                time_or_dash(key.expires_at), time_or_dash(key.revoked_at),
                                shown(key.label)});
            }
            print_table(rows);
        });
}

int key_revoke_command(const Settings& settings, const BrokerOptions& options) {
    return with_admin(
        settings, [&](Admin& admin) { return admin.revoke_api_key(options.mesh, options.id); },
        [&](const broker::ApiKey& key) {
            if (options.as_json) {
                print_json(key, &broker::append_api_key);
            } else {
                fmt::print("revoked key {} ({})\n", shown(key.label), key.id);
            }
        });
}

}  // namespace nave::app
