// share_skill, get_skill, list_skills, remove_skill; share_context, get_context, list_contexts.
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/handlers.h"
#include "broker/wire.h"

namespace nave::broker::handlers {
namespace {

constexpr std::size_t kDescriptionBytes = 2'048;
constexpr std::size_t kInstructionsBytes = 48 * 1024;
constexpr std::size_t kQueryBytes = 256;
constexpr std::size_t kSummaryBytes = 8 * 1024;
constexpr std::size_t kFilesMax = 200;
constexpr std::size_t kFileBytes = 1'024;
constexpr std::size_t kFindingsMax = 50;
constexpr std::size_t kFindingBytes = 2'048;

Result<std::string> skill_name(const json::Object& fields) {
    TRY(auto name, required_text(fields, "name", kNameBytesMax));
    if (!is_name(name)) {
        return bad_field("name", "must be 1 to 64 visible characters");
    }
    return name;
}

SkillAuthor author_of(const Broker& broker, const Presence& presence) {
    return {presence.member.id, broker.is_admin(presence.member)};
}

Result<void> check(SkillStore::Outcome outcome) {
    switch (outcome) {
        case SkillStore::Outcome::not_found:
            return errors::not_found("No skill has this name.");
        case SkillStore::Outcome::forbidden:
            return errors::forbidden("Only who shared a skill, or an admin, may change it.");
        case SkillStore::Outcome::full:
            return errors::limit_reached("The mesh has too many skills; remove some.");
        case SkillStore::Outcome::done:
            break;
    }
    return ok();
}

void acknowledge(Session& session, const ClientRequest& request, std::string_view name,
                 std::string_view action) {
    Answer answer("skill_ack", request.request_id);
    answer.fields().text("name", name);
    answer.fields().plain("action", action);
    session.reply(answer.take());
}

void write_skill(json::ObjectWriter& writer, const Skill& skill) {
    writer.text("name", skill.name);
    writer.text("description", skill.description);
    writer.raw("tags", skill.tags);
    writer.text("author", skill.shared_by_name);
    writer.plain("createdAt", iso8601(skill.created_at));
    writer.plain("updatedAt", iso8601(skill.updated_at));
}

void write_context(json::ObjectWriter& writer, const WorkingContext& context) {
    writer.text("peerName", context.member_name);
    writer.plain("memberId", context.member_id);
    writer.text("summary", context.summary);
    writer.raw("tags", context.tags);
    writer.plain("updatedAt", iso8601(context.updated_at));
}

}  // namespace

Task<Result<void>> share_skill(Session& session, Presence& presence, const ClientRequest& request) {
    Skill skill;
    CO_TRY(skill.name, skill_name(request.fields));
    CO_TRY(skill.description, required_text(request.fields, "description", kDescriptionBytes));
    CO_TRY(skill.instructions, required_text(request.fields, "instructions", kInstructionsBytes));
    CO_TRY(skill.tags, tags_field(request.fields));
    skill.shared_by_name = presence.profile.display_name;
    skill.updated_at = session.broker().clock.now();
    const std::string name = skill.name;
    CO_TRY(const auto outcome,
           co_await session.broker().skills.share(presence.mesh_id, std::move(skill),
                                                  author_of(session.broker(), presence)));
    CO_TRY_VOID(check(outcome));
    acknowledge(session, request, name, "shared");
    co_return ok();
}

Task<Result<void>> remove_skill(Session& session, Presence& presence,
                                const ClientRequest& request) {
    CO_TRY(const std::string name, skill_name(request.fields));
    CO_TRY(const auto outcome, co_await session.broker().skills.remove(
                                   presence.mesh_id, name, author_of(session.broker(), presence)));
    CO_TRY_VOID(check(outcome));
    acknowledge(session, request, name, "removed");
    co_return ok();
}

Task<Result<void>> get_skill(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(const std::string name, skill_name(request.fields));
    CO_TRY(const auto skill, co_await session.broker().skills.get(presence.mesh_id, name));
    Answer answer("skill_data", request.request_id);
    if (skill) {
        json::ObjectWriter writer = answer.fields().object("skill");
        write_skill(writer, *skill);
        writer.text("instructions", skill->instructions);
        writer.close();
    } else {
        answer.fields().raw("skill", "null");
    }
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> list_skills(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(std::string query, text_field(request.fields, "query", kQueryBytes));
    CO_TRY(const auto skills,
           co_await session.broker().skills.list(presence.mesh_id, std::move(query)));
    reply_list(session, request, "skill_list", "skills", skills, &write_skill);
    co_return ok();
}

Task<Result<void>> share_context(Session& session, Presence& presence,
                                 const ClientRequest& request) {
    WorkingContext context;
    CO_TRY(context.summary, required_text(request.fields, "summary", kSummaryBytes));
    CO_TRY(const auto files, texts_field(request.fields, "filesRead", kFilesMax, kFileBytes));
    CO_TRY(const auto findings,
           texts_field(request.fields, "keyFindings", kFindingsMax, kFindingBytes));
    CO_TRY(context.tags, tags_field(request.fields));
    context.files_read = texts_json(files);
    context.key_findings = texts_json(findings);
    context.member_id = presence.member.id;
    context.member_name = presence.profile.display_name;
    context.updated_at = session.broker().clock.now();
    const std::string id = context.member_id;
    CO_TRY_VOID(co_await session.broker().contexts.share(presence.mesh_id, std::move(context)));
    Answer answer("context_shared", request.request_id);
    answer.fields().plain("id", id);
    session.reply(answer.take());
    co_return ok();
}

Task<Result<void>> get_context(Session& session, Presence& presence, const ClientRequest& request) {
    CO_TRY(std::string query, required_text(request.fields, "query", kQueryBytes));
    CO_TRY(const auto contexts,
           co_await session.broker().contexts.find(presence.mesh_id, std::move(query)));
    reply_list(session, request, "context_results", "contexts", contexts,
               [](json::ObjectWriter& writer, const WorkingContext& context) {
                   write_context(writer, context);
                   writer.raw("filesRead", context.files_read);
                   writer.raw("keyFindings", context.key_findings);
               });
    co_return ok();
}

Task<Result<void>> list_contexts(Session& session, Presence& presence,
                                 const ClientRequest& request) {
    CO_TRY(const auto contexts, co_await session.broker().contexts.list(presence.mesh_id));
    reply_list(session, request, "context_list", "contexts", contexts, &write_context);
    co_return ok();
}

}  // namespace nave::broker::handlers
