#include "app/cli.h"

#include "app/broker_commands.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/prekeys_commands.h"
#include "app/process_settings.h"
#include "app/server_process.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <optional>

namespace nave::app {
namespace {

// Options every command takes.
struct Common {
    std::string config_file;
    std::vector<std::string> assignments;  // NAME=VALUE
    std::string data_dir;
    std::vector<std::string> services;
};

void add_common(CLI::App* command, Common& common, bool takes_services) {
    command->add_option("--config", common.config_file, "JSON file of settings");
    command->add_option("--set", common.assignments, "Set one setting: NAME=VALUE (repeatable)");
    command->add_option("--data-dir", common.data_dir, "Same as --set NAVE_DATA_DIR=DIR");
    if (takes_services) {
        command->add_option("services", common.services, "Services; all when none is named");
    }
}

int usage_problem(const std::string& text) {
    std::fputs(fmt::format("nave: {}\n", text).c_str(), stderr);
    return kExitUsage;
}

// Loads settings and complains about every problem at once.
struct Prepared {
    Settings settings;
    Chosen chosen;
};

std::optional<int> choose_services(const Common& common, Chosen& chosen) {
    for (const std::string& name : common.services) {
        const ServiceEntry* service = find_service(name);
        if (service == nullptr) {
            std::string known;
            for (const ServiceEntry& each : services()) {
                known.append(known.empty() ? "" : ", ").append(each.name);
            }
            return usage_problem(fmt::format("there is no service \"{}\"; known: {}", name, known));
        }
        if (std::ranges::find(chosen, service) == chosen.end()) {
            chosen.push_back(service);
        }
    }
    if (chosen.empty()) {
        for (const ServiceEntry& service : services()) {
            chosen.push_back(&service);
        }
    }
    return std::nullopt;
}

std::optional<int> prepare(const Common& common, std::map<std::string, std::string> flags,
                           Prepared& out) {
    for (const std::string& assignment : common.assignments) {
        const auto equals = assignment.find('=');
        if (equals == std::string::npos) {
            return usage_problem(fmt::format("--set needs NAME=VALUE, not \"{}\"", assignment));
        }
        flags[assignment.substr(0, equals)] = assignment.substr(equals + 1);
    }
    if (!common.data_dir.empty()) {
        flags["NAVE_DATA_DIR"] = common.data_dir;
    }
    if (const auto failed = choose_services(common, out.chosen)) {
        return failed;
    }
    SettingInputs inputs;
    if (!common.config_file.empty()) {
        inputs.config_file = common.config_file;
    }
    inputs.environment = process_environment();
    inputs.flags = std::move(flags);
    LoadedSettings loaded = load_settings(all_settings(), inputs);
    if (loaded.problems.empty()) {
        for (const ServiceEntry& service : services()) {
            if (service.check_settings == nullptr) {
                continue;
            }
            if (const auto checked = service.check_settings(loaded.settings); !checked) {
                loaded.problems.push_back(
                    {std::string(service.name), "settings", checked.error().message, {}});
            }
        }
    }
    for (const SettingProblem& problem : loaded.problems) {
        std::fputs(fmt::format("nave: {}\n", problem.line()).c_str(), stderr);
    }
    if (!loaded.problems.empty()) {
        return kExitConfig;
    }
    out.settings = std::move(loaded.settings);
    return std::nullopt;
}

class Cli {
  public:
    Cli() {
        app_.require_subcommand(1);
        app_.set_help_all_flag("--help-all", "Help of every command");
        add_serve();
        add_storage_commands();
        add_config_commands();
        add_operator_commands();
        add_prekeys_commands();
        add_broker_commands();
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& e) {
            const int code = app_.exit(e);
            return code == 0 ? kExitOk : kExitUsage;
        }
        return run_();
    }

  private:
    using Action = std::function<int(const Prepared&)>;

    // A command that needs settings: they are loaded only when it was chosen.
    void on(CLI::App* command, Action action) {
        command->callback([this, action = std::move(action)] {
            run_ = [this, action] {
                Prepared prepared;
                if (const auto failed = prepare(common_, flags_, prepared)) {
                    return *failed;
                }
                return action(prepared);
            };
        });
    }

    void add_serve() {
        auto* serve_command = app_.add_subcommand(
            "serve", "Run services: one alone at the root of its port, several under prefixes");
        add_common(serve_command, common_, true);
        serve_command->add_option("--listen", listen_, "Address to listen on, HOST:PORT");
        serve_command->callback([this] {
            run_ = [this] {
                if (!listen_.empty()) {
                    flags_["NAVE_LISTEN"] = listen_;
                }
                Prepared prepared;
                if (const auto failed = prepare(common_, flags_, prepared)) {
                    return *failed;
                }
                ServeOptions options{prepared.chosen, common_.services.size() == 1};
                return serve(options, prepared.settings);
            };
        });
    }

    void add_storage_commands() {
        auto* migrate = app_.add_subcommand("migrate", "Apply pending schema changes");
        add_common(migrate, common_, true);
        migrate->add_flag("--dry-run", dry_run_, "Only list them");
        on(migrate,
           [this](const Prepared& p) { return migrate_command(p.settings, p.chosen, dry_run_); });
        auto* backup = app_.add_subcommand("backup", "Write a consistent copy while running");
        backup->add_option("file", file_, "File to write; must not exist")->required();
        add_common(backup, common_, true);
        on(backup,
           [this](const Prepared& p) { return backup_command(p.settings, p.chosen, file_); });
        auto* restore =
            app_.add_subcommand("restore", "Replace the stored state by a backup; server stopped");
        restore->add_option("file", file_, "File that backup wrote")->required();
        add_common(restore, common_, true);
        on(restore,
           [this](const Prepared& p) { return restore_command(p.settings, p.chosen, file_); });
    }

    void add_config_commands() {
        auto* config = app_.add_subcommand("config", "Check and show settings");
        config->require_subcommand(1);
        auto* check = config->add_subcommand("check", "Load all settings and report problems");
        add_common(check, common_, false);
        on(check, [](const Prepared&) {
            std::puts("settings are valid");
            return kExitOk;
        });
        auto* print = config->add_subcommand("print", "Effective settings, secrets hidden");
        add_common(print, common_, false);
        on(print, [](const Prepared& p) { return config_print_command(p.settings); });
        auto* reference = config->add_subcommand("reference", "Every setting, as Markdown");
        reference->add_flag("--env", as_env_, "As an example environment file");
        reference->callback(
            [this] { run_ = [this] { return config_reference_command(as_env_); }; });
    }

    void add_operator_commands() {
        auto* healthcheck =
            app_.add_subcommand("healthcheck", "Exit 0 when the running server is healthy");
        auto* url = healthcheck->add_option("--url", url_, "Address to ask, http://HOST:PORT/path");
        healthcheck
            ->add_flag("--any", any_, "Ask whichever answers: all services together, or one alone")
            ->excludes(url);
        add_common(healthcheck, common_, true);
        on(healthcheck, [this](const Prepared& p) {
            return healthcheck_command(p.settings, p.chosen, url_, any_);
        });
        auto* doctor = app_.add_subcommand("doctor", "Look for problems and say what to do");
        add_common(doctor, common_, true);
        on(doctor, [](const Prepared& p) { return doctor_command(p.settings, p.chosen); });
        auto* version = app_.add_subcommand("version", "Version and commit");
        version->add_flag("--json", as_json_, "As JSON");
        version->callback([this] { run_ = [this] { return version_command(as_json_); }; });
    }

    void add_prekeys_commands() {
        auto* prekeys = app_.add_subcommand("prekeys", "Work with the prekey directory");
        prekeys->require_subcommand(1);
        auto* kt = prekeys->add_subcommand("kt", "Key transparency");
        kt->require_subcommand(1);
        auto* verify = kt->add_subcommand("verify", "Check a proof document offline");
        verify->add_option("file", kt_.file, "Proof document, - for standard input")->required();
        verify->add_option("--key", kt_.log_key, "vkey of the log, from /v1/kt/keys")->required();
        verify->add_option("--vrf-key", kt_.vrf_key, "vrfPublicKey, from /v1/kt/keys")->required();
        verify->add_option("--address", kt_.address, "Address the document must be about");
        verify->add_option("--known", kt_.known, "File with a checkpoint verified earlier");
        verify->callback([this] { run_ = [this] { return kt_verify_command(kt_); }; });
        auto* tombstone = prekeys->add_subcommand("tombstone", "Addresses in quarantine");
        tombstone->require_subcommand(1);
        auto* release =
            tombstone->add_subcommand("release", "Open an address to other identities at once");
        release->add_option("address", address_, "The address")->required();
        add_common(release, common_, false);
        on(release,
           [this](const Prepared& p) { return release_tombstone_command(p.settings, address_); });
    }

    using BrokerCommand = int (*)(const Settings&, const BrokerOptions&);

    // What a command of the broker is about; said before the options in its help.
    enum class About : std::uint8_t { nothing, mesh, mesh_and_id };

    CLI::App* add_broker_command(CLI::App* parent, const std::string& name, const std::string& help,
                                 About about, BrokerCommand command) {
        auto* added = parent->add_subcommand(name, help);
        if (about != About::nothing) {
            added->add_option("mesh", broker_.mesh, "Id of the mesh, or its short name")
                ->required();
        }
        if (about == About::mesh_and_id) {
            added->add_option("id", broker_.id, "Id, as the list shows it")->required();
        }
        added->add_flag("--json", broker_.as_json, "As JSON");
        add_common(added, common_, false);
        on(added, [this, command](const Prepared& p) { return command(p.settings, broker_); });
        return added;
    }

    CLI::App* add_topic(CLI::App* parent, const std::string& name, const std::string& help) {
        auto* added = parent->add_subcommand(name, help);
        added->require_subcommand(1);
        return added;
    }

    void add_broker_commands() {
        auto* broker = add_topic(&app_, "broker", "Work with the mesh broker");
        auto* mesh = add_topic(broker, "mesh", "Groups of peers");
        add_broker_command(mesh, "create", "Make a mesh", About::nothing, &mesh_create_command)
            ->add_option("name", broker_.mesh, "What people call it")
            ->required();
        add_broker_command(mesh, "list", "All meshes", About::nothing, &mesh_list_command);
        add_broker_command(mesh, "archive", "End a mesh for good", About::mesh,
                           &mesh_archive_command);
        auto* invite = add_topic(broker, "invite", "Ways to join a mesh");
        auto* offer = add_broker_command(invite, "create", "Make an invite and print its link",
                                         About::mesh, &invite_create_command);
        offer->add_option("--role", broker_.role, "member (default) or admin")
            ->check(CLI::IsMember({"member", "admin"}));
        offer->add_option("--uses", broker_.uses, "How many may join by it (1)")
            ->check(CLI::Range(1, 100'000));
        offer->add_option("--hours", broker_.hours, "How long it is good for (168)")
            ->check(CLI::Range(1, 366 * 24));
        offer->add_option("--url", broker_.url, "Address of the broker, wss://HOST/ws");
        add_broker_command(invite, "list", "Invites of a mesh", About::mesh, &invite_list_command);
        add_broker_command(invite, "revoke", "End an invite", About::mesh_and_id,
                           &invite_revoke_command);
        auto* audit = add_topic(broker, "audit", "What happened in a mesh");
        add_broker_command(audit, "verify", "Check the chain of records", About::mesh,
                           &audit_verify_command);
        add_broker_command(audit, "export", "All records, one JSON object per line", About::mesh,
                           &audit_export_command);
        auto* member = add_topic(broker, "member", "Members of a mesh");
        add_broker_command(member, "list", "Members of a mesh, revoked ones too", About::mesh,
                           &member_list_command);
        add_broker_command(member, "revoke", "Shut a member out; its sockets are closed",
                           About::mesh_and_id, &member_revoke_command);
        add_broker_command(member, "restore", "Let a revoked member in again", About::mesh_and_id,
                           &member_restore_command);
        auto* key = add_topic(broker, "key", "Bearer keys for members that speak plain HTTP");
        auto* make = add_broker_command(key, "create", "Make a key and print its token",
                                        About::mesh, &key_create_command);
        make->add_option("member", broker_.member_id, "Id of the member it acts for")->required();
        make->add_option("--label", broker_.label, "What it is for")->required();
        make->add_option("--may", broker_.may, "send, receive or both (default)")
            ->check(CLI::IsMember({"send", "receive", "both"}));
        make->add_option("--days", broker_.days, "How long it is good for; until revoked when 0")
            ->check(CLI::Range(0, 3660));
        add_broker_command(key, "list", "Keys of a mesh, without their tokens", About::mesh,
                           &key_list_command);
        add_broker_command(key, "revoke", "End a key; its streams are closed", About::mesh_and_id,
                           &key_revoke_command);
    }

    CLI::App app_{"Nave: one server for what a project's apps, agents and people share", "nave"};
    Common common_;
    std::map<std::string, std::string> flags_;
    std::string listen_;
    std::string file_;
    std::string url_;
    bool any_ = false;
    std::string address_;
    KtVerifyOptions kt_;
    BrokerOptions broker_;
    bool dry_run_ = false;
    bool as_env_ = false;
    bool as_json_ = false;
    std::function<int()> run_;
};

}  // namespace

int run_cli(int argc, char** argv) {
    Cli cli;
    return cli.run(argc, argv);
}

}  // namespace nave::app
