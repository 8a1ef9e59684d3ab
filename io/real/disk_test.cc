#include "io/real/test_node.h"

#include <csignal>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;
using enum Disk::Open;

namespace {

Bytes filled(std::size_t size, char with) { return Bytes::copy_of(std::string(size, with)); }

// From now on this process gets `error` when it asks for a ring.
void refuse_rings(int error) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{std::size(program), program};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

bool uses_ring(Environment& env) {
    return env.metrics.expose().find("\npyralog_disk_ring 1\n") != std::string::npos;
}

} // namespace

TEST_CASE("files use the ring where there is one, and threads where it is off", "[real]") {
    const bool permitted = [] {
        TestNode node;
        bool is_used = false;
        node.run([&](Environment& env) {
            REQUIRE(env.disk.open("f", create_new).ok());
            is_used = uses_ring(env);
        });
        return is_used;
    }();
    if (!permitted) WARN("io_uring is refused here: only threads are tested");
    TestNodeOnThreads node;
    node.run([&](Environment& env) {
        REQUIRE(env.disk.open("f", create_new).ok());
        CHECK(!uses_ring(env));
    });
}

TEST_CASE("where io_uring is refused, files go through threads", "[real]") {
    for (const int error : {EPERM, ENOSYS}) {
        const int status = in_child([&] {
            refuse_rings(error);
            TestNode node;
            int wrong = 1;
            node.run([&](Environment& env) {
                auto file = env.disk.open("f", create_new);
                if (!file.ok() || uses_ring(env)) return;
                File& f = *file.value();
                if (!f.write_at(0, {filled(5, 'x')}, Durability::now).ok()) return;
                if (!f.sync().ok()) return;
                std::array<std::byte, 10> into{};
                const auto count = f.read_at(0, into);
                wrong = count.ok() && count.value() == 5 ? 0 : 2;
            });
            return wrong;
        });
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
}

TEST_CASE("more operations than the ring holds wait for their turn", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        auto file = env.disk.open("f", create_new);
        REQUIRE(file.ok());
        constexpr std::size_t writers = 700;
        Scope scope(env.fibers);
        for (std::size_t i = 0; i < writers; ++i)
            scope.spawn("writer", [&, i] {
                REQUIRE(file.value()->write_at(i * 100, {filled(100, 'a' + char(i % 26))}).ok());
            });
        scope.join();
        Buffer all(writers * 100 + 1);
        REQUIRE(file.value()->read_at(0, all.view()).value() == writers * 100);
        for (std::size_t i = 0; i < writers; ++i)
            REQUIRE(all.view()[i * 100 + 99] == std::byte('a' + char(i % 26)));
    });
}

TEMPLATE_TEST_CASE("a chain of more pieces than one call takes is written whole", "[real]",
                   TestNode, TestNodeOnThreads) {
    TestType node;
    node.run([](Environment& env) {
        auto file = env.disk.open("f", create_new);
        REQUIRE(file.ok());
        BytesChain chain;
        for (int i = 0; i < 3000; ++i) chain.push_back(filled(i % 3, 'a' + char(i % 26)));
        const Bytes whole = joined(chain);
        REQUIRE(file.value()->write_at(7, chain, Durability::now).ok());
        Buffer into(whole.size() + 1);
        REQUIRE(file.value()->read_at(7, into.view()).value() == whole.size());
        CHECK(std::move(into).freeze(whole.size()).text() == whole.text());
    });
}

TEMPLATE_TEST_CASE("an aligned read meets the end of a file that ends within a block", "[real]",
                   TestNode, TestNodeOnThreads) {
    TestType node;
    node.run([](Environment& env) {
        auto plain = env.disk.open("f", create_new);
        REQUIRE(plain.value()->write_at(0, {filled(5000, 'x')}, Durability::now).ok());
        auto file = env.disk.open("f", existing, Disk::Access::aligned);
        REQUIRE(file.ok());
        Buffer into(4 * Buffer::disk_alignment);
        CHECK(file.value()->read_at(0, into.view()).value() == 5000);
        CHECK(file.value()->read_at(2 * Buffer::disk_alignment, into.view()).value() == 0);
    });
}

TEMPLATE_TEST_CASE("a write that stops short is gone on with, and then fails", "[real]", TestNode,
                   TestNodeOnThreads) {
    // The limit stands in for a full disk: the kernel writes up to it, and refuses the rest.
    const auto access = GENERATE(Disk::Access::buffered, Disk::Access::aligned);
    const auto durability = GENERATE(Durability::later, Durability::now);
    const int status = in_child([&] {
        signal(SIGXFSZ, SIG_IGN);
        TestType node;
        node.config.log_level = Level(int(Level::error) + 1); // Nothing.
        int wrong = 1;
        node.run([&](Environment& env) {
            auto file = env.disk.open("f", create_new, access);
            if (!file.ok()) return;
            const rlimit limit{1_MiB, 1_MiB};
            setrlimit(RLIMIT_FSIZE, &limit);
            const auto written = file.value()->write_at(0, {filled(2_MiB, 'x')}, durability);
            if (written.ok() || written.error() != Error::out_of_space) return;
            wrong = file.value()->size().value() == 1_MiB ? 0 : 2;
        });
        return wrong;
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("in a cancelled scope no file call begins", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        auto file = env.disk.open("f", create_new);
        REQUIRE(file.ok());
        Scope scope(env.fibers);
        scope.cancel();
        scope.spawn("cancelled", [&] {
            File& f = *file.value();
            std::array<std::byte, 1> into{};
            CHECK(f.write_at(0, {filled(1, 'x')}).error() == Error::cancelled);
            CHECK(f.read_at(0, into).error() == Error::cancelled);
            CHECK(f.sync().error() == Error::cancelled);
            CHECK(f.resize(5).error() == Error::cancelled);
            CHECK(env.disk.open("g", create_new).error() == Error::cancelled);
            CHECK(env.disk.remove("f").error() == Error::cancelled);
        });
        scope.join();
        CHECK(file.value()->size().value() == 0);
        CHECK(env.disk.list("").value() == std::vector<std::string>{"f"});
    });
}

TEST_CASE("a data directory belongs to one world at a time", "[real]") {
    TestNode node;
    node.run([&](Environment& env) {
        REQUIRE(env.disk.list("").ok());
        const int status = in_child([&] {
            IoConfig config = node.config;
            config.log_level = Level(int(Level::error) + 1);
            World other(config);
            const auto ended = other.run([](Environment& theirs) -> Result<> {
                if (theirs.kv.open().ok()) return {};
                return TRY(theirs.disk.create_directory("d"));
            });
            return !ended.ok() && ended.error() == Error::unavailable ? 0 : 1;
        });
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
        CHECK(env.disk.list("").value().empty());
    });
}

TEST_CASE("a data directory that cannot be had is an error, and not a crash", "[real]") {
    TestNode node;
    node.run([](Environment& env) { REQUIRE(env.disk.open("file", create_new).ok()); });
    IoConfig config = node.config;
    config.data_dir += "/file/below";
    config.log_level = Level(int(Level::error) + 1);
    World world(config);
    const auto ended =
        world.run([](Environment& env) -> Result<> { return TRY(env.disk.create_directory("d")); });
    CHECK(ended.error() == Error::device_failed);
}

TEST_CASE("a path that leads out of the data directory is our own mistake", "[real]") {
    TestNode node;
    for (const char* path : {"/etc/passwd", "../f", "a/../../f", "a//b", "", "./a", "a/"}) {
        INFO(path);
        const int status = in_child([&] {
            close(STDERR_FILENO); // The failed CHECK is what is wanted.
            node.run([&](Environment& env) { (void)env.disk.open(path, create_new); });
            return 0;
        });
        CHECK(WIFSIGNALED(status));
    }
}
