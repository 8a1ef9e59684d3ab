#include "bench/floor.h"

#include "bench/socket.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace pyralog::bench {

namespace {

constexpr std::size_t file_bytes = 64 << 20;
constexpr std::size_t read_bytes = 4 << 20;

using Count = std::uint64_t; // Bytes since the beginning.

// A copy's file. What one write makes durable is whatever has arrived: that is all the batching.
class Copy {
public:
    Copy(const std::string& room, int number) {
        const std::string path = room + "/floor" + std::to_string(number);
        descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        must(descriptor_ >= 0, "open");
        const std::vector<std::byte> zeros(1 << 20);
        for (std::size_t at = 0; at < file_bytes; at += zeros.size())
            must(pwrite(descriptor_, zeros.data(), zeros.size(), static_cast<off_t>(at)) > 0,
                 "pwrite");
        must(fsync(descriptor_) == 0, "fsync");
        unlink(path.c_str());
    }

    void write(std::span<const std::byte> data) {
        if (position_ + data.size() > file_bytes) position_ = 0;
        must(pwrite(descriptor_, data.data(), data.size(), static_cast<off_t>(position_)) ==
                 static_cast<ssize_t>(data.size()),
             "pwrite");
        must(fdatasync(descriptor_) == 0, "fdatasync");
        position_ += data.size();
    }

private:
    int descriptor_;
    std::size_t position_ = 0;
};

// The copies end when somebody whom they need has gone.
void send_or_end(const Socket& to, std::span<const std::byte> data) {
    if (!to.try_write(data)) _exit(0);
}

void send_count(const Socket& to, Count count) {
    send_or_end(to, std::as_bytes(std::span(&count, 1)));
}

[[noreturn]] void follow(const std::string& room, int number, const Socket& listener) {
    Copy copy(room, number);
    const Socket leader = listener.accept();
    std::vector<std::byte> data(read_bytes);
    for (Count durable = 0;;) {
        const std::size_t got = leader.read_some(data);
        if (got == 0) _exit(0);
        copy.write(std::span(data).first(got));
        send_count(leader, durable += got);
    }
}

// One thread: while it writes, what arrives waits in the socket, and is the next write. Before it
// writes the next, what was written must be durable on two; so its own disk is never ahead by more.
[[noreturn]] void lead(const std::string& room, const Socket& listener,
                       const std::array<std::uint16_t, 2>& ports) {
    Copy copy(room, 0);
    const std::array<Socket, 2> followers{Socket::connect(ports[0]), Socket::connect(ports[1])};
    const Socket client = listener.accept();
    std::vector<std::byte> data(read_bytes);
    std::array<Count, 2> durable{};
    for (Count end = 0;;) {
        const std::size_t got = client.read_some(data);
        if (got == 0) _exit(0);
        for (const Socket& follower : followers) send_or_end(follower, std::span(data).first(got));
        copy.write(std::span(data).first(got));
        end += got;
        while (std::max(durable[0], durable[1]) < end) {
            std::array<pollfd, 2> ready{pollfd{followers[0].descriptor(), POLLIN, 0},
                                        pollfd{followers[1].descriptor(), POLLIN, 0}};
            must(poll(ready.data(), ready.size(), -1) > 0, "poll");
            for (std::size_t i = 0; i < 2; ++i) {
                if (ready[i].revents == 0) continue;
                if (!followers[i].read(std::as_writable_bytes(std::span(&durable[i], 1)))) _exit(0);
            }
        }
        send_count(client, end);
    }
}

template <class Body>
pid_t in_child(Body body) {
    std::fflush(stdout); // Or the child would print it again.
    const pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) body();
    return child;
}

} // namespace

FloorResult run_floor(const std::string& room, const FloorLoad& load) {
    const std::array<Socket, 3> listeners{Socket::listen(), Socket::listen(), Socket::listen()};
    std::array<pid_t, 3> children{};
    for (int i = 1; i < 3; ++i)
        children[static_cast<std::size_t>(i)] =
            in_child([&] { follow(room, i, listeners[static_cast<std::size_t>(i)]); });
    children[0] =
        in_child([&] { lead(room, listeners[0], {listeners[1].port(), listeners[2].port()}); });

    FloorResult result;
    {
        const Socket leader = Socket::connect(listeners[0].port());
        const std::vector<std::byte> request(load.request_bytes, std::byte{'x'});
        std::deque<Duration> sent; // Of those that are not answered.
        Count done = 0;
        Duration start{}; // When the first is answered: by then all three are there.
        bool first = true;
        do {
            while (sent.size() < static_cast<std::size_t>(first ? 1 : load.in_flight)) {
                sent.push_back(now());
                leader.write(request);
            }
            Count durable = 0;
            must(leader.read(std::as_writable_bytes(std::span(&durable, 1))), "floor");
            for (; done + request.size() <= durable; done += request.size()) {
                if (!first) result.latency.add(now() - sent.front());
                sent.pop_front();
            }
            if (first) start = now();
            first = false;
            result.taken = now() - start;
        } while (result.taken < load.time);
    }
    for (const pid_t child : children) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    return result;
}

} // namespace pyralog::bench
