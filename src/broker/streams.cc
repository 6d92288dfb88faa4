#include "broker/streams.h"

#include <algorithm>

namespace nave::broker {

bool Streams::make_room(MeshStreams& streams) {
    auto oldest = streams.end();
    for (auto it = streams.begin(); it != streams.end(); ++it) {
        if (it->second.subscribers.empty() &&
            (oldest == streams.end() || it->second.used_at < oldest->second.used_at)) {
            oldest = it;
        }
    }
    if (oldest == streams.end()) {
        return false;
    }
    streams.erase(oldest);
    return true;
}

Streams::Stream* Streams::find_or_make(const Presence& user, const std::string& name) {
    MeshStreams& streams = meshes_[user.mesh_id];
    auto found = streams.find(name);
    if (found == streams.end()) {
        if (streams.size() >= kStreamsMax && !make_room(streams)) {
            return nullptr;
        }
        Stream stream;
        stream.info.name = name;
        stream.info.created_by = user.profile.display_name;
        stream.info.created_at = clock_.now();
        found = streams.emplace(name, std::move(stream)).first;
    }
    found->second.used_at = clock_.now();
    return &found->second;
}

bool Streams::create(const Presence& creator, const std::string& name) {
    return find_or_make(creator, name) != nullptr;
}

bool Streams::subscribe(const Presence& subscriber, const std::string& name) {
    Stream* stream = find_or_make(subscriber, name);
    if (stream == nullptr) {
        return false;
    }
    if (std::ranges::find(stream->subscribers, subscriber.id) == stream->subscribers.end()) {
        stream->subscribers.push_back(subscriber.id);
    }
    return true;
}

void Streams::unsubscribe(const Presence& subscriber, const std::string& name) {
    const auto mesh = meshes_.find(subscriber.mesh_id);
    if (mesh == meshes_.end()) {
        return;
    }
    const auto stream = mesh->second.find(name);
    if (stream != mesh->second.end()) {
        std::erase(stream->second.subscribers, subscriber.id);
    }
}

bool Streams::publish(const Presence& publisher, const std::string& name,
                      const net::SharedFrame& frame) {
    Stream* stream = find_or_make(publisher, name);
    if (stream == nullptr) {
        return false;
    }
    stream->info.published += 1;
    for (const std::string& id : stream->subscribers) {
        const Presence* peer = registry_.find(id);
        if (peer == nullptr || !peer->connected() || peer->id == publisher.id) {
            continue;
        }
        if (peer->socket->buffered() > kBehindBytes) {
            stream->info.skipped += 1;
        } else {
            peer->socket->send(frame);
        }
    }
    return true;
}

void Streams::on_depart(const Presence& presence) {
    const auto mesh = meshes_.find(presence.mesh_id);
    if (mesh == meshes_.end()) {
        return;
    }
    if (registry_.count(presence.mesh_id) <= 1) {
        meshes_.erase(mesh);
        return;
    }
    for (auto& [name, stream] : mesh->second) {
        std::erase(stream.subscribers, presence.id);
    }
}

std::vector<StreamInfo> Streams::list(const std::string& mesh_id) const {
    std::vector<StreamInfo> infos;
    const auto mesh = meshes_.find(mesh_id);
    if (mesh != meshes_.end()) {
        for (const auto& [name, stream] : mesh->second) {
            infos.push_back(stream.info);
            infos.back().subscribers = stream.subscribers.size();
        }
    }
    return infos;
}

std::vector<std::string> Streams::names(const std::string& mesh_id) const {
    std::vector<std::string> names;
    for (StreamInfo& info : list(mesh_id)) {
        names.push_back(std::move(info.name));
    }
    return names;
}

}  // namespace nave::broker
