#include "net/ws_output.h"

#include "net/ws_test_frames.h"

#include <random>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace nave::net {
namespace {

// A pair of connected sockets that hold little, so that sends are cut in odd places.
class Pipe {
  public:
    Pipe() {
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_.data());
        const int size = 4096;
        ::setsockopt(fds_[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    ~Pipe() {
        ::close(fds_[0]);
        ::close(fds_[1]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] int in() const { return fds_[0]; }
    void read(std::size_t bytes_max) {
        std::string buffer(bytes_max, '\0');
        const ssize_t got = ::recv(fds_[1], buffer.data(), buffer.size(), 0);
        if (got > 0) {
            received.append(buffer, 0, static_cast<std::size_t>(got));
        }
    }
    void close_reader() { ::shutdown(fds_[1], SHUT_RDWR); }

    std::string received;

  private:
    std::array<int, 2> fds_{};
};

class WsOutputTest : public testing::Test {
  protected:
    // Appends the n-th frame: small, large, shared or not.
    void add(std::mt19937& random) {
        const std::string payload =
            std::to_string(count++) + ":" +
            std::string(random() % 5 == 0 ? random() % 40'000 : random() % 200, 'x');
        if (const auto choice = random() % 4; choice == 0) {
            output.append(SharedFrame::binary(payload));
        } else if (choice == 1) {
            output.append(frames.text(random() % 300, [&](std::string& out) { out += payload; }));
        } else if (choice == 2) {
            // Not all of what is encoded goes to this socket.
            static_cast<void>(frames.text(100, [&](std::string& out) { out += "another's"; }));
            output.append(frames.text(payload.size(), [&](std::string& out) { out += payload; }));
        } else {
            output.append(WsOpcode::binary, payload);
        }
        expected.push_back(payload);
    }
    WsOutput::Sent send() { return output.send(pipe.in(), taken); }
    void read_all() {
        for (;;) {
            const WsOutput::Sent sent = send();
            const std::size_t before = pipe.received.size();
            pipe.read(1 << 20);
            if (sent == WsOutput::Sent::all && pipe.received.size() == before) {
                return;
            }
        }
    }
    std::vector<std::string> received_payloads() {
        std::vector<std::string> out;
        while (const auto frame = take_frame(pipe.received)) {
            out.push_back(frame->payload);
        }
        EXPECT_EQ(pipe.received, "") << "whole frames only";
        return out;
    }

    Pipe pipe;
    SharedFrames frames;
    WsOutput output;
    std::vector<std::string> expected;
    int count = 0;
    std::uint64_t taken = 0;
};

TEST_F(WsOutputTest, EverythingArrivesInOrderHoweverItIsCut) {
    std::mt19937 random(3);
    output.start_with("HTTP");
    for (int round = 0; round < 700; ++round) {
        add(random);
        if (random() % 3 == 0) {
            static_cast<void>(send());
        }
        if (random() % 3 == 0) {
            pipe.read(1 + random() % 5000);
        }
    }
    read_all();
    EXPECT_EQ(output.unsent(), 0U);
    EXPECT_EQ(taken, pipe.received.size());
    EXPECT_TRUE(pipe.received.starts_with("HTTP"));
    pipe.received.erase(0, 4);
    EXPECT_EQ(received_payloads(), expected);
}

TEST_F(WsOutputTest, DroppingLeavesWholeFrames) {
    for (unsigned seed = 0; seed < 120; ++seed) {
        std::mt19937 random(seed);
        output.clear();
        expected.clear();
        pipe.received.clear();
        const bool answered = random() % 4 == 0;
        if (answered) {
            output.start_with(std::string(random() % 9000, 'H'));
        }
        const unsigned frames = random() % 40;
        for (unsigned i = 0; i < frames; ++i) {
            add(random);
            if (random() % 4 == 0) {
                static_cast<void>(send());
                pipe.read(random() % 3000 + 1);
            }
        }
        static_cast<void>(send());
        output.drop_unsent();
        EXPECT_LE(output.unsent(), 41'000U) << "what is left of one frame";
        const std::size_t before = output.unsent();
        output.append_close(1013, "");
        EXPECT_EQ(output.unsent(), before + 4);
        read_all();
        pipe.received.erase(0, pipe.received.find_first_not_of('H'));
        std::vector<std::string> got = received_payloads();
        ASSERT_FALSE(got.empty());
        EXPECT_EQ(got.back(), close_payload(1013));
        got.pop_back();
        ASSERT_LE(got.size(), expected.size());
        expected.resize(got.size());
        ASSERT_EQ(got, expected) << "a beginning of what was queued, seed " << seed;
    }
}

TEST_F(WsOutputTest, DroppingBeforeAnythingIsSentLeavesNothing) {
    output.append(WsOpcode::text, "a");
    output.append(SharedFrame::text(std::string(5000, 'b')));
    output.append(WsOpcode::text, "c");
    output.drop_unsent();
    EXPECT_EQ(output.unsent(), 0U);
    EXPECT_EQ(send(), WsOutput::Sent::all);
    EXPECT_EQ(taken, 0U);
}

TEST_F(WsOutputTest, MoreSharedFramesThanOneCallTakes) {
    for (int i = 0; i < 500; ++i) {
        const std::string payload = std::to_string(i) + std::string(1100, 's');
        output.append(SharedFrame::binary(payload));
        expected.push_back(payload);
    }
    read_all();
    EXPECT_EQ(received_payloads(), expected);
}

TEST_F(WsOutputTest, FramesThatFollowEachOtherInMemoryAreOnePiece) {
    const std::size_t empty = output.own_bytes();
    for (int i = 0; i < 50; ++i) {
        expected.push_back(std::to_string(i) + std::string(300, 'n'));
        output.append(frames.text(400, [&](std::string& out) { out += expected.back(); }));
    }
    const std::size_t one = output.own_bytes() - empty;
    EXPECT_LT(one, 100U) << "refers to all of them at once";
    read_all();
    EXPECT_EQ(received_payloads(), expected);
}

// A frame cut by a full socket is finished, and those behind it in the same piece are dropped.
TEST_F(WsOutputTest, DroppingCutsAPieceBehindTheFrameThatIsOnItsWay) {
    for (int i = 0; i < 30; ++i) {
        expected.push_back(std::to_string(i) + std::string(900, 'n'));
        output.append(frames.text(1000, [&](std::string& out) { out += expected.back(); }));
    }
    ASSERT_EQ(send(), WsOutput::Sent::blocked);
    output.drop_unsent();
    EXPECT_LT(output.unsent(), 910U);
    read_all();
    const std::vector<std::string> got = received_payloads();
    ASSERT_LT(got.size(), expected.size());
    expected.resize(got.size());
    EXPECT_EQ(got, expected);
}

TEST_F(WsOutputTest, ASocketThatIsBehindKeepsOnlyItsOwnFrames) {
    output.append(SharedFrame::text(std::string(50'000, 'o')));
    ASSERT_EQ(send(), WsOutput::Sent::blocked);
    const std::size_t before = output.own_bytes();
    const std::string payload(3000, 'n');
    output.append(frames.text(payload.size(), [&](std::string& out) { out += payload; }));
    EXPECT_GE(output.own_bytes(), before + payload.size()) << "copied";
}

TEST_F(WsOutputTest, AVanishedReaderIsAFailure) {
    output.append(WsOpcode::text, "x");
    pipe.close_reader();
    EXPECT_EQ(send(), WsOutput::Sent::failed);
}

TEST_F(WsOutputTest, MayServeAnotherSocketOnceCleared) {
    output.start_with("old");
    output.append(SharedFrame::text(std::string(50'000, 'o')));
    EXPECT_EQ(send(), WsOutput::Sent::blocked);
    output.clear();
    EXPECT_EQ(output.unsent(), 0U);
    Pipe other;
    output.append(WsOpcode::text, "new");
    EXPECT_EQ(output.send(other.in(), taken), WsOutput::Sent::all);
    other.read(100);
    EXPECT_EQ(other.received, std::string("\x81\x03") + "new");
}

}  // namespace
}  // namespace nave::net
