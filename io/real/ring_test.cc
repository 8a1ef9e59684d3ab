#include "io/real/ring.h"

#include "core/testing/places.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include <catch2/catch.hpp>

using namespace pyralog;
using real::Ring;

namespace {

// The smallest loop around a ring: it sleeps on the event whenever nobody is ready.
struct Toy {
    StackPool stacks;
    Scheduler fibers{stacks};
    std::unique_ptr<Ring> ring;
    int sleeps = 0;

    explicit Toy(bool may_defer) {
        int refusal = 0;
        ring = Ring::open(fibers, refusal, may_defer);
        if (!ring) WARN("io_uring is refused here, errno " << refusal);
    }
    void run() {
        while (fibers.alive_count() > 0) {
            while (!fibers.idle()) fibers.run_one();
            REQUIRE(ring->submit());
            ring->collect();
            if (!fibers.idle() || fibers.alive_count() == 0) continue;
            ring->before_sleep();
            ring->collect();
            if (fibers.idle()) {
                pollfd event{ring->event(), POLLIN, 0};
                REQUIRE(poll(&event, 1, 10'000) == 1); // Else a completion went unannounced.
                std::uint64_t count = 0;
                (void)!read(ring->event(), &count, sizeof count);
                ++sleeps;
            }
            ring->after_sleep();
        }
    }
};

struct TemporaryFile {
    TemporaryFile()
        : fd(open(testing::binary_dir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
        REQUIRE(fd >= 0);
    }
    ~TemporaryFile() { close(fd); }
    int fd;
};

} // namespace

TEST_CASE("a ring of either kind announces each completion to who sleeps", "[real]") {
    const bool may_defer = GENERATE(true, false);
    Toy toy(may_defer);
    if (!toy.ring) return;
    if (!may_defer) CHECK(!toy.ring->deferred());
    TemporaryFile file;
    constexpr int writers = 8;
    constexpr int writes = 50;
    for (int i = 0; i < writers; ++i)
        toy.fibers.start("writer", [&, i] {
            for (int n = 0; n < writes; ++n) {
                std::string text = "writer " + std::to_string(i);
                const std::array<iovec, 2> pieces{iovec{text.data(), 3},
                                                  iovec{text.data() + 3, text.size() - 3}};
                const auto position = static_cast<std::uint64_t>(100 * (i * writes + n));
                if (n % 4 == 0)
                    REQUIRE(toy.ring->write_durably(file.fd, pieces, position).value() == 8);
                else
                    REQUIRE(toy.ring->write(file.fd, pieces, position, 0).value() == 8);
                if (n % 16 == 0) REQUIRE(toy.ring->sync_data(file.fd).value() == 0);
                std::array<std::byte, 8> into{};
                REQUIRE(toy.ring->read(file.fd, into, position).value() == 8);
                REQUIRE(into[7] == static_cast<std::byte>('0' + i));
            }
        });
    toy.run();
    CHECK(toy.sleeps > 0);
}

TEST_CASE("what the kernel refuses comes back as its errno", "[real]") {
    Toy toy(true);
    if (!toy.ring) return;
    toy.fibers.start("one", [&] {
        std::array<std::byte, 8> into{};
        CHECK(toy.ring->read(-1, into, 0).value() == -EBADF);
        CHECK(toy.ring->sync_data(-1).value() == -EBADF);
        const std::array<iovec, 1> piece{iovec{into.data(), into.size()}};
        CHECK(toy.ring->write(-1, piece, 0, 0).value() == -EBADF);
        CHECK(toy.ring->write_durably(-1, piece, 0).value() == -EBADF);
        // A pipe takes the bytes, and cannot be synced.
        std::array<int, 2> ends{};
        REQUIRE(pipe(ends.data()) == 0);
        CHECK(toy.ring->write_durably(ends[1], piece, 0).value() == -EINVAL);
        close(ends[0]);
        close(ends[1]);
    });
    toy.run();
}

TEST_CASE("a fiber that is cancelled while the ring is full does not begin", "[real]") {
    Toy toy(true);
    if (!toy.ring) return;
    TemporaryFile file;
    int begun = 0;
    toy.fibers.start("main", [&] {
        Scope scope(toy.fibers);
        for (unsigned i = 0; i < Ring::entries + 10; ++i)
            scope.spawn("reader", [&] {
                std::array<std::byte, 1> into{};
                const auto count = toy.ring->read(file.fd, into, 0);
                if (count.ok())
                    ++begun;
                else
                    CHECK(count.error() == Error::cancelled);
            });
        toy.fibers.yield();
        scope.cancel();
    });
    toy.run();
    CHECK(begun == static_cast<int>(Ring::entries));
}
