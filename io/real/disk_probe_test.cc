#include "io/real/disk_probe.h"

#include "io/real/test_node.h"

#include <filesystem>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;

namespace {

constexpr std::array all_ways{SyncWay::buffered_fdatasync, SyncWay::direct_fdatasync,
                              SyncWay::direct_dsync, SyncWay::ring_fdatasync, SyncWay::ring_dsync};

// From now on this system call of this process ends with `error`.
void refuse(std::uint32_t call, int error) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{std::size(program), program};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

int exit_code(const std::function<int()>& body) {
    const int status = in_child(body);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<SyncFigure> figures_of(Duration sync, Duration dsync, Duration busy_sync,
                                   Duration busy_dsync) {
    return {{SyncWay::ring_fdatasync, 4_KiB, false, 9, sync, sync},
            {SyncWay::ring_dsync, 4_KiB, false, 9, dsync, dsync},
            {SyncWay::ring_fdatasync, 4_KiB, true, 9, busy_sync, busy_sync},
            {SyncWay::ring_dsync, 4_KiB, true, 9, busy_dsync, busy_dsync}};
}

DiskProbe probe_of(const std::string& file_system, const std::string& write_cache) {
    DiskProbe probe;
    probe.facts.file_system = file_system;
    probe.facts.write_cache = write_cache;
    return probe;
}

} // namespace

TEST_CASE("durable writes are measured in each way, and nothing stays behind", "[real]") {
    TestNode node;
    std::filesystem::create_directories(node.directory());
    std::string reason;
    const auto meter = SyncMeter::open(node.directory(), 2_MiB, 1h, reason);
    REQUIRE(meter);
    CHECK(std::filesystem::is_empty(node.directory()));
    CHECK(meter->size() == 2_MiB);
    for (const SyncWay way : all_ways) {
        if (!meter->can(way)) continue;
        for (const std::size_t size : {4_KiB, 1_MiB}) {
            const std::array one{way};
            const auto figures = meter->measure(one, size, 0ms, size == 4_KiB);
            INFO(to_string(way) << ": " << meter->failure());
            REQUIRE(figures.size() == 1);
            CHECK(figures[0].writes == SyncMeter::writes_min);
            CHECK(figures[0].p50 > Duration{0});
            CHECK(figures[0].p50 <= figures[0].p99);
        }
    }
    const SyncMeter::Flow flow = meter->flow(1h);
    CHECK(flow.bytes == 2_MiB);
    CHECK(flow.time > Duration{0});
    CHECK(meter->failure().empty());
}

TEST_CASE("a directory that cannot be measured is told with the reason", "[real]") {
    DiskProbe probe;
    std::string reason;
    CHECK(!probe_disk("/nonexistent", probe, reason));
    CHECK(reason == "cannot make a file: No such file or directory");
    const SyncAdvice advice = choose_sync("/nonexistent");
    CHECK(advice.method == SyncMethod::fdatasync);
    CHECK(advice.why.find("No such file") != std::string::npos);
    CHECK(exit_code([] {
              TestNode node;
              std::filesystem::create_directories(node.directory());
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{1000, 1000};
              CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
              std::string why;
              const bool is_open = SyncMeter::open(node.directory(), 1_MiB, 1h, why) != nullptr;
              return !is_open && why.starts_with("cannot write") &&
                             std::filesystem::is_empty(node.directory())
                         ? 0
                         : 1;
          }) == 0);
}

TEST_CASE("without io_uring nodes use one call for a durable write", "[real]") {
    CHECK(exit_code([] {
              TestNode node;
              std::filesystem::create_directories(node.directory());
              refuse(SYS_io_uring_setup, EPERM);
              const SyncAdvice advice = choose_sync(node.directory());
              return advice.method == SyncMethod::dsync || advice.why == "there is no direct I/O"
                         ? 0
                         : 1;
          }) == 0);
}

TEST_CASE("the chosen way is the way of durable writes", "[real]") {
    const auto writes_without_sync = [](SyncMethod method) {
        return exit_code([method] {
            TestNodeOnThreads node;
            node.config.sync = method;
            node.config.log_level = Level::error;
            refuse(SYS_fdatasync, EIO);
            int code = 2;
            node.run([&](Environment& env) {
                auto file =
                    env.disk.open("f", Disk::Open::create_new, Disk::Access::aligned).value();
                const Bytes block = Buffer(Buffer::disk_alignment).freeze();
                code = file->write_at(0, {block}, Durability::now).ok() ? 0 : 1;
            });
            return code;
        });
    };
    CHECK(writes_without_sync(SyncMethod::dsync) == 0);
    CHECK(writes_without_sync(SyncMethod::fdatasync) == 1);
    CHECK(writes_without_sync(SyncMethod::automatic) == 0); // On threads, until it is chosen.
}

TEST_CASE("a node that is to choose chooses, and stores", "[real]") {
    TestNode node;
    std::filesystem::create_directories(node.directory());
    World world(node.config);
    world.choose_sync();
    CHECK(std::filesystem::is_empty(node.directory()));
    const Result<> done = world.run([](Environment& env) -> Result<> {
        const auto file = TRY(env.disk.open("f", Disk::Open::create_new, Disk::Access::aligned));
        const Bytes block = Buffer(Buffer::disk_alignment).freeze();
        return file->write_at(0, {block}, Durability::now);
    });
    CHECK(done.ok());
}

TEST_CASE("RWF_DSYNC is chosen where it is clearly quicker, idle and busy", "[real]") {
    const auto chosen = [](Duration sync, Duration dsync, Duration busy_sync, Duration busy_dsync) {
        return advise(figures_of(sync, dsync, busy_sync, busy_dsync)).method;
    };
    CHECK(chosen(100us, 80us, 100us, 80us) == SyncMethod::dsync);
    CHECK(chosen(180us, 140us, 110us, 4000us) == SyncMethod::fdatasync);
    CHECK(chosen(80us, 100us, 4000us, 100us) == SyncMethod::fdatasync);
    CHECK(chosen(100us, 95us, 100us, 95us) == SyncMethod::fdatasync);
    CHECK(advise(figures_of(180us, 140us, 110us, 4000us)).why ==
          "half of the writes of 4 KiB take 140us with RWF_DSYNC and 180us with fdatasync; with "
          "all processors kept busy 4ms and 110us");
    CHECK(advise({}).method == SyncMethod::fdatasync);
    auto too_few = figures_of(100us, 80us, 100us, 80us);
    too_few.pop_back();
    CHECK(advise(too_few).method == SyncMethod::fdatasync);
}

TEST_CASE("a sync that no device can have done is told, and no other is accused", "[real]") {
    const DiskProbe usual = probe_of("ext4", "write back");
    CHECK(doubts(usual, 100us).empty());
    CHECK(doubts(probe_of("xfs", "write through"), 20us).empty());
    const auto quick = doubts(usual, 20us);
    REQUIRE(quick.size() == 1);
    CHECK(quick[0].find("from here they look the same") != std::string::npos);
    const auto impossible = doubts(probe_of("ext4", "write through"), 2us);
    REQUIRE(impossible.size() == 1);
    CHECK(impossible[0].find("no device was asked") != std::string::npos);
    DiskProbe memory = probe_of("tmpfs", "");
    memory.facts.in_memory = true;
    REQUIRE(doubts(memory, 2us).size() == 1);
    CHECK(doubts(memory, 2us)[0].find("in memory") != std::string::npos);
    CHECK(doubts(probe_of("nfs", ""), 1ms).size() == 1);
    DiskProbe crowded = usual;
    crowded.busy_percent = 80;
    REQUIRE(doubts(crowded, 4ms).size() == 1);
    CHECK(doubts(crowded, 4ms)[0].find("80 % busy") != std::string::npos);
}

TEST_CASE("what Linux says of a directory is found", "[real]") {
    TestNode node;
    std::filesystem::create_directories(node.directory());
    CHECK(!facts_of(node.directory()).file_system.empty());
    CHECK(facts_of("/proc").file_system == "0x9fa0");
    CHECK(facts_of("/nonexistent").file_system.empty());
}
