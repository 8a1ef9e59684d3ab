// bench/io_bench.cc
//
// What the real world costs beside the least that the machine can do, in one run: the device's pace
// changes from minute to minute, so only figures of the same run can be compared. Files are made in
// the current directory, or in the one given.

#include "io/real/world.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

using namespace pyralog;

namespace {

constexpr std::size_t block = 4_KiB;
constexpr std::size_t file_blocks = 4096;
constexpr int writes = 1500;
constexpr int round_trips = 5000;
constexpr int switches = 1'000'000;

struct Samples {
    std::vector<Duration> all;
    void print(const char* name) {
        std::sort(all.begin(), all.end());
        Duration sum{};
        for (const Duration d : all) sum += d;
        const auto us = [](Duration d) { return static_cast<double>(d.count()) / 1000; };
        std::printf("%-44s p50 %8.1f us   p99 %8.1f us   mean %8.1f us\n", name,
                    us(all[all.size() / 2]), us(all[all.size() * 99 / 100]),
                    us(sum) / static_cast<double>(all.size()));
    }
};

Bytes ones() {
    Buffer buffer(block);
    std::ranges::fill(buffer.view(), std::byte{1});
    return std::move(buffer).freeze();
}

// The loop that nothing can beat: one thread that blocks.
void plain_writes(Environment& env, const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    if (fd < 0) {
        std::printf("no direct I/O here\n");
        return;
    }
    const Bytes data = ones();
    const iovec piece{const_cast<std::byte*>(data.data()), data.size()};
    Samples samples;
    for (int i = 0; i < writes; ++i) {
        const Time start = env.clock.now();
        const auto position = static_cast<off_t>(i % file_blocks * block);
        if (pwritev2(fd, &piece, 1, position, RWF_DSYNC) != ssize_t{block}) std::perror("pwritev2");
        samples.all.push_back(env.clock.now() - start);
    }
    close(fd);
    samples.print("durable 4 KiB, plain pwritev2 O_DIRECT");
}

Result<> disk_writes(Environment& env, const char* name) {
    const auto file = TRY(env.disk.open("f", Disk::Open::existing, Disk::Access::aligned));
    const BytesChain data{ones()};
    Samples samples;
    for (int i = 0; i < writes; ++i) {
        const Time start = env.clock.now();
        TRY(file->write_at(i % file_blocks * block, data, Durability::now));
        samples.all.push_back(env.clock.now() - start);
    }
    samples.print(name);
    return {};
}

Result<> prepare(Environment& env) {
    const auto file = TRY(env.disk.open("f", Disk::Open::create_new, Disk::Access::aligned));
    Buffer zeros(1_MiB);
    std::ranges::fill(zeros.view(), std::byte{0});
    const BytesChain data{std::move(zeros).freeze()};
    for (std::size_t at = 0; at < file_blocks * block; at += 1_MiB) TRY(file->write_at(at, data));
    return file->sync();
}

// Two fibers of one thread, over loopback: two trips through the kernel and the loop.
Result<> ping_pong(Environment& env, const char* name) {
    const auto listener = TRY(env.network.listen({"127.0.0.1", 0}));
    Scope scope(env.fibers);
    scope.spawn("echo", [&] {
        auto stream = listener->accept();
        if (!stream.ok()) return;
        Buffer into(64);
        while (read_exactly(*stream.value(), into.view()).ok())
            if (!stream.value()->write({Bytes::copy_of(into.view())}).ok()) return;
    });
    const auto stream = TRY(env.network.connect(listener->address()));
    const BytesChain message{ones().slice(0, 64)};
    Buffer into(64);
    Samples samples;
    for (int i = 0; i < round_trips; ++i) {
        const Time start = env.clock.now();
        TRY(stream->write(message));
        TRY(read_exactly(*stream, into.view()));
        samples.all.push_back(env.clock.now() - start);
    }
    samples.print(name);
    return {};
}

Result<> fiber_switches(Environment& env) {
    Scope scope(env.fibers);
    const Time start = env.clock.now();
    for (int i = 0; i < 2; ++i)
        scope.spawn("switch", [&] {
            for (int n = 0; n < switches / 2; ++n) env.fibers.yield();
        });
    scope.join();
    std::printf("%-44s %12.1f ns\n", "fiber switch, there and back",
                static_cast<double>((env.clock.now() - start).count()) / switches);
    return {};
}

} // namespace

int main(int argc, char** argv) {
    real::IoConfig config;
    config.data_dir = std::string(argc > 1 ? argv[1] : ".") + "/io_bench_data";
    config.log_level = Level::warning;
    const auto run = [&](std::function<Result<>(Environment&)> body) {
        real::World world(config);
        const Result<> ended = world.run(std::move(body));
        if (!ended.ok()) std::printf("failed: %s\n", std::string(to_string(ended.error())).c_str());
    };
    run([](Environment& env) { return prepare(env); });
    run([](Environment& env) { return fiber_switches(env); });
    for (int i = 0; i < 2; ++i) {
        run([&](Environment& env) -> Result<> {
            plain_writes(env, config.data_dir + "/f");
            return {};
        });
        run([](Environment& env) { return disk_writes(env, "durable 4 KiB, io_uring"); });
        config.spin = 300us;
        run([](Environment& env) {
            return disk_writes(env, "durable 4 KiB, io_uring, spin 300us");
        });
        config.spin = 0us;
        config.ring = false;
        run([](Environment& env) { return disk_writes(env, "durable 4 KiB, helper thread"); });
        config.ring = true;
    }
    run([](Environment& env) {
        return ping_pong(env, "64 B there and back, loopback, one thread");
    });
    std::filesystem::remove_all(config.data_dir);
}
