// MQTT 3.1.1 over WebSocket. With quality of service 1 the server acknowledges each publication and
// the receiver each delivery; with 0 nobody does.
#include "generator.h"

#include <cstdint>
#include <string>

namespace {

// First bytes of the packets, without their flags.
constexpr unsigned kConnect = 0x10;
constexpr unsigned kConnectAck = 0x20;
constexpr unsigned kPublish = 0x30;
constexpr unsigned kPublishAck = 0x40;
constexpr unsigned kSubscribe = 0x82;
constexpr unsigned kSubscribeAck = 0x90;

std::string two_bytes(std::size_t value) {
    return {static_cast<char>(value >> 8U), static_cast<char>(value)};
}

std::string text(std::string_view value) {
    return two_bytes(value.size()).append(value);
}

std::string packet(unsigned first, std::string_view content) {
    std::string bytes(1, static_cast<char>(first));
    std::size_t size = content.size();
    do {
        const std::size_t low = size & 127U;
        size >>= 7U;
        bytes.push_back(static_cast<char>(size > 0 ? low | 128U : low));
    } while (size > 0);
    return bytes.append(content);
}

class Mqtt : public Protocol {
  public:
    explicit Mqtt(int quality) : quality_(quality) {}

    std::string_view websocket_path() const override { return "/mqtt"; }
    std::string_view subprotocol() const override { return "mqtt"; }
    bool acknowledges() const override { return quality_ > 0; }

    void greet(Generator& load, std::size_t index) override {
        constexpr char kLevelCleanNoKeepAlive[] = {4, 2, 0, 0};
        load.write(index, packet(kConnect, text("MQTT") + std::string(kLevelCleanNoKeepAlive, 4) +
                                               text(load.key(index))));
    }

    std::size_t consume(Generator& load, std::size_t index, std::string_view bytes) override {
        std::size_t taken = 0;
        for (;;) {
            const auto rest = bytes.substr(taken);
            std::size_t size = 0;
            std::size_t head = 1;
            bool more = true;
            for (unsigned shift = 0; more && head < rest.size(); shift += 7, ++head) {
                const auto byte = static_cast<unsigned char>(rest[head]);
                size |= static_cast<std::size_t>(byte & 127U) << shift;
                more = (byte & 128U) != 0;
            }
            if (more || rest.size() < head + size) {
                return taken;
            }
            handle(load, index, static_cast<unsigned char>(rest[0]), rest.substr(head, size));
            taken += head + size;
        }
    }

    void direct(Generator& load, std::size_t sender, std::size_t receiver) override {
        publish(load, sender, load.key(receiver));
    }
    void broadcast(Generator& load, std::size_t sender) override { publish(load, sender, "all"); }

  private:
    void publish(Generator& load, std::size_t sender, const std::string& topic) {
        std::string content = text(topic);
        if (quality_ > 0) {
            packet_id_ = packet_id_ % 65535 + 1;
            content += two_bytes(packet_id_);
        }
        content += load.body();
        load.write(sender, packet(kPublish | static_cast<unsigned>(quality_) << 1U, content));
    }

    void handle(Generator& load, std::size_t index, unsigned first, std::string_view content) {
        switch (first & 0xF0U) {
            case kConnectAck:
                if (content != std::string_view("\0\0", 2)) {
                    die("CONNECT refused");
                }
                if (!load.receives(index)) {
                    load.ready(index);
                    break;
                }
                load.write(index,
                           packet(kSubscribe,
                                  two_bytes(1) +
                                      text(load.mode() == Mode::fanout ? "all" : load.key(index)) +
                                      std::string(1, static_cast<char>(quality_))));
                break;
            case kSubscribeAck:
                load.ready(index);
                break;
            case kPublish:
                if ((first & 6U) != 0) {
                    const auto topic =
                        static_cast<std::size_t>(static_cast<unsigned char>(content[0]) << 8U |
                                                 static_cast<unsigned char>(content[1]));
                    load.write(index, packet(kPublishAck, content.substr(2 + topic, 2)));
                }
                load.received(index);
                break;
            case kPublishAck:
                load.acknowledged(index);
                break;
            default:
                die("unexpected packet");
        }
    }

    int quality_;
    std::size_t packet_id_ = 0;
};

}  // namespace

std::unique_ptr<Protocol> make_mqtt(int quality_of_service) {
    return std::make_unique<Mqtt>(quality_of_service);
}
