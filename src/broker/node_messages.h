// What nodes say to each other over the bus, as JSON. All of it may be lost, repeated or late: it
// only makes prompt what the database says too, or (tell) is worth nothing a moment later.
#pragma once

#include "broker/presence_store.h"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nave::broker {

// A presence is there, or has changed.
struct PutMessage {
    PresenceRow row;
};
// A presence is no more. A node that still has its socket closes it.
struct GoneMessage {
    std::string id;
};
// A node and all its presences are no more; work may be waiting for anybody.
struct BuriedMessage {
    std::string node;
};
// Something is stored for these presences of the receiving node.
struct WakeMessage {
    std::vector<std::string> ids;
};
// For every peer of the mesh.
struct TellMessage {
    std::string mesh_id;
    std::string text;
};

// To the subscribers of a stream.
struct StreamMessage {
    std::string publisher;  // presence
    std::string stream;
    std::string text;
};
// An admin ends the connection of a presence of the receiving node.
struct EndMessage {
    std::string id;
    std::uint16_t close_code = 0;
    std::string reason;
    bool may_return = false;
};
// The peer of a presence of the receiving node has these messages.
struct AckMessage {
    std::string id;
    std::vector<std::string> message_ids;
};

struct NodeMessage {
    std::string from;  // node
    std::variant<PutMessage, GoneMessage, BuriedMessage, WakeMessage, TellMessage, StreamMessage,
                 EndMessage, AckMessage>
        body;
};

[[nodiscard]] std::string to_text(const NodeMessage& message);
// Nullopt: it is none of these.
[[nodiscard]] std::optional<NodeMessage> parse_node_message(std::string_view text);

}  // namespace nave::broker
