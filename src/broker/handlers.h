// The handlers of requests that have a file of their own, by subject (requests.h says what a
// handler is). Each answers under the request's `_reqId`.
#pragma once

#include "broker/session.h"
#include "broker/wire.h"

#include <string_view>

namespace nave::broker::handlers {

using Handler = Task<Result<void>>(Session& session, Presence& presence,
                                   const ClientRequest& request);

// memory_requests.cc
Handler remember, recall, forget;
// profile_requests.cc
Handler mesh_info, set_profile, set_stats;
// task_requests.cc
Handler create_task, claim_task, complete_task, list_tasks;
// stream_requests.cc
Handler create_stream, subscribe, unsubscribe, publish, list_streams;
// skill_requests.cc
Handler share_skill, get_skill, list_skills, remove_skill;
Handler share_context, get_context, list_contexts;
// schedule_requests.cc
Handler schedule, list_scheduled, cancel_scheduled;

// moderation_requests.cc
Handler kick, disconnect, ban, unban, list_bans;

// audit_requests.cc
Handler audit_query, audit_verify;

// Answers with the list `name`, to which `write` adds the members of each item. Cut as AnswerList
// is.
template <class Items, class Write>
void reply_list(Session& session, const ClientRequest& request, std::string_view type,
                std::string_view name, const Items& items, Write write) {
    AnswerList list;
    for (const auto& item : items) {
        list.add([&](json::ObjectWriter& writer) { write(writer, item); });
    }
    Answer answer(type, request.request_id);
    list.finish(answer, name);
    session.reply(answer.take());
}

}  // namespace nave::broker::handlers
