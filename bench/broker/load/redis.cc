// Redis: a direct message is an entry of the receiver's stream (XADD), which the receiver waits for
// with a blocking XREAD; a broadcast is a PUBLISH.
#include "generator.h"

#include <charconv>
#include <string>

namespace {

// Reads one reply; `complete` turns false when bytes are missing.
class Reply {
  public:
    explicit Reply(std::string_view bytes) : bytes_(bytes) {}

    // The text of the next line, without its type.
    std::string_view line() {
        const auto end = bytes_.find("\r\n", at_);
        if (end == std::string_view::npos) {
            complete_ = false;
        }
        if (!complete_) {
            return {};
        }
        const auto text = bytes_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 2;
        return text;
    }
    // The number of an array, an integer or the size of a bulk string.
    std::size_t number() {
        std::size_t value = 0;
        const auto text = line();
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }
    std::string_view bulk() {
        const auto size = number();
        if (at_ + size + 2 > bytes_.size()) {
            complete_ = false;
        }
        if (!complete_) {
            return {};
        }
        const auto text = bytes_.substr(at_, size);
        at_ += size + 2;
        return text;
    }
    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] std::size_t size() const { return complete_ ? at_ : 0; }

  private:
    std::string_view bytes_;
    std::size_t at_ = 0;
    bool complete_ = true;
};

std::string command(std::initializer_list<std::string_view> words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const auto word : words) {
        bytes += "$" + std::to_string(word.size()) + "\r\n";
        bytes += word;
        bytes += "\r\n";
    }
    return bytes;
}

class Redis : public Protocol {
  public:
    std::string_view websocket_path() const override { return ""; }

    void greet(Generator& load, std::size_t index) override {
        if (!load.receives(index)) {
            load.write(index, command({"PING"}));
        } else if (load.mode() == Mode::direct) {
            load.write(index, command({"DEL", load.key(index)}));
            wait(load, index, "0-0");
        } else if (load.mode() == Mode::fanout) {
            load.write(index, command({"SUBSCRIBE", "all"}));
        } else {
            load.write(index, command({"SUBSCRIBE", load.key(index)}));
        }
    }

    std::size_t consume(Generator& load, std::size_t index, std::string_view bytes) override {
        std::size_t taken = 0;
        while (taken < bytes.size()) {
            const auto one = reply(load, index, bytes.substr(taken));
            if (one == 0) {
                break;
            }
            taken += one;
        }
        return taken;
    }

    void direct(Generator& load, std::size_t sender, std::size_t receiver) override {
        // Streams keep about as much as they must; Nave, too, forgets what it delivered.
        load.write(sender, command({"XADD", load.key(receiver), "MAXLEN", "~", "1000", "*", "d",
                                    load.body()}));
    }
    void broadcast(Generator& load, std::size_t sender) override {
        load.write(sender, command({"PUBLISH", "all", load.body()}));
    }

  private:
    static void wait(Generator& load, std::size_t index, std::string_view last) {
        load.write(index, command({"XREAD", "BLOCK", "0", "STREAMS", load.key(index), last}));
    }

    // Handles the reply that `bytes` begin with and returns its size, 0 when it is not complete.
    static std::size_t reply(Generator& load, std::size_t index, std::string_view bytes) {
        Reply reply(bytes);
        switch (bytes[0]) {
            case '+':
            case ':':
                reply.line();
                if (reply.complete()) {
                    answered(load, index);
                }
                break;
            case '$':
                reply.bulk();
                if (reply.complete()) {
                    answered(load, index);
                }
                break;
            case '*':
                load.mode() == Mode::direct ? entries(load, index, reply)
                                            : published(load, index, reply);
                break;
            default:
                die(bytes.substr(0, 200));
        }
        return reply.size();
    }

    // The first answer is to the greeting.
    static void answered(Generator& load, std::size_t index) {
        if (!load.is_ready(index)) {
            load.ready(index);
        } else if (!load.receives(index)) {
            load.acknowledged(index);
        }
    }

    static void entries(Generator& load, std::size_t index, Reply& reply) {
        reply.number();  // one stream
        reply.number();  // its key and its entries
        reply.bulk();
        const auto count = reply.number();
        std::string_view last;
        for (std::size_t i = 0; i < count && reply.complete(); ++i) {
            reply.number();
            last = reply.bulk();
            for (auto words = reply.number(); words > 0; --words) {
                reply.bulk();
            }
        }
        if (!reply.complete()) {
            return;
        }
        wait(load, index, last);
        for (std::size_t i = 0; i < count; ++i) {
            load.received(index);
        }
    }

    static void published(Generator& load, std::size_t index, Reply& reply) {
        reply.number();
        const auto kind = reply.bulk();
        reply.bulk();
        if (kind == "subscribe") {
            reply.number();
            if (reply.complete()) {
                load.ready(index);
            }
            return;
        }
        reply.bulk();
        if (reply.complete()) {
            load.received(index);
        }
    }
};

}  // namespace

std::unique_ptr<Protocol> make_redis() {
    return std::make_unique<Redis>();
}
