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
constexpr std::size_t copies = 3;

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

// Passes on what comes, and answers when two of the three copies have it. Its own copy is a process
// like the others, so that nobody waits for the slowest disk; that costs it one more trip.
[[noreturn]] void lead(const Socket& listener, const std::array<std::uint16_t, copies>& ports) {
    std::vector<Socket> others; // The copies, and then the client.
    for (const std::uint16_t port : ports) others.push_back(Socket::connect(port));
    others.push_back(listener.accept());
    const Socket& client = others.back();
    std::vector<std::byte> data(read_bytes);
    std::array<Count, copies> durable{};
    for (Count answered = 0;;) {
        std::array<pollfd, copies + 1> ready{};
        for (std::size_t i = 0; i < ready.size(); ++i)
            ready[i] = {others[i].descriptor(), POLLIN, 0};
        must(poll(ready.data(), ready.size(), -1) > 0, "poll");
        if (ready.back().revents != 0) {
            const std::size_t got = client.read_some(data);
            if (got == 0) _exit(0);
            for (std::size_t i = 0; i < copies; ++i)
                send_or_end(others[i], std::span(data).first(got));
        }
        for (std::size_t i = 0; i < copies; ++i)
            if (ready[i].revents != 0 &&
                !others[i].read(std::as_writable_bytes(std::span(&durable[i], 1))))
                _exit(0);
        std::array<Count, copies> sorted = durable;
        std::sort(sorted.begin(), sorted.end());
        if (sorted[1] == answered) continue;
        answered = sorted[1];
        send_count(client, answered);
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
    std::vector<Socket> listeners; // Of the copies, and of the leader.
    for (std::size_t i = 0; i <= copies; ++i) listeners.push_back(Socket::listen());
    std::array<std::uint16_t, copies> ports{};
    std::vector<pid_t> children;
    for (std::size_t i = 0; i < copies; ++i) {
        ports[i] = listeners[i].port();
        children.push_back(in_child([&] { follow(room, static_cast<int>(i), listeners[i]); }));
    }
    children.push_back(in_child([&] { lead(listeners.back(), ports); }));

    FloorResult result;
    {
        const Socket leader = Socket::connect(listeners.back().port());
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
