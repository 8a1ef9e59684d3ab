#include "io/real/world.h"

#include "io/real/clock.h"
#include "io/real/disk.h"
#include "io/real/disk_probe.h"
#include "io/real/door.h"
#include "io/real/log_sink.h"
#include "io/real/network.h"
#include "io/real/ring.h"
#include "io/real/workers.h"
#include "io/rocksdb/careful_files.h"
#include "io/rocksdb/rocks_kv.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <rocksdb/env.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace pyralog::real {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Fibers that run before the world is looked at again.
constexpr std::size_t runs_per_turn = 256;

std::uint64_t seed_of_the_machine() {
    std::uint64_t seed = 0;
    CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
    return seed;
}

// A descriptor whose only message is "look": an eventfd or a timerfd. Owns it.
class Bell {
public:
    Bell(asio::io_context& loop, int fd) : fd_(loop, fd) { listen(); }
    int fd() { return fd_.native_handle(); }
    bool take_rung() { return std::exchange(rung_, false); }

private:
    void listen() {
        fd_.async_read_some(asio::buffer(&count_, sizeof count_),
                            [this](const error_code& error, std::size_t) {
                                if (error) return; // It is being destroyed.
                                rung_ = true;
                                listen();
                            });
    }

    asio::posix::stream_descriptor fd_;
    std::uint64_t count_ = 0;
    bool rung_ = false;
};

// RocksDB blocks, so one helper thread calls it: calls then reach it in their order.
class KvExecutor final : public rocks::Executor {
public:
    KvExecutor(asio::io_context& loop, Scheduler& fibers)
        : workers_(loop, fibers, "pyralog-kv", 1) {}
    void run_body(FiberBody& body) override {
        workers_.run([&body] { body.run(); });
    }

private:
    Workers workers_;
};

} // namespace

struct World::Parts {
    explicit Parts(const IoConfig& c)
        : config(c), sink(c.node), log(sink, c.log_level), random(seed_of_the_machine()),
          timer(loop, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
          file_workers(loop, fibers, "pyralog-files", c.file_threads), door(loop, fibers),
          kv_executor(loop, fibers),
          ring_used(metrics, "pyralog_disk_ring", "1 if files are read and written by io_uring."),
          disk(
              c.data_dir, [this] { return open_ring(); }, file_workers, fibers, log, metrics),
          network(loop, fibers, clock, log, metrics),
          kv(
              c.data_dir + "/kv", kv_options(), [this] { return disk.prepare(); }, kv_executor,
              fibers, log) {}

    Ring* open_ring();
    rocksdb::Options kv_options();
    void run_until_nobody_is_left(const bool& main_has_ended);
    void look();
    void rest();
    void arm_timer();
    void await_stop_signal();

    IoConfig config;
    LogSink sink;
    Logger log;
    Clock clock;
    StackPool stacks;
    Scheduler fibers{stacks};
    Metrics metrics;
    Random random;

    asio::io_context loop{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
    Bell timer;
    std::optional<Time> armed; // When the timer is going to ring.
    std::optional<asio::signal_set> signals;
    int stop_signals = 0;

    Workers file_workers;
    Door door;
    KvExecutor kv_executor;
    std::unique_ptr<rocksdb::Env> kv_env{
        rocksdb::NewCompositeEnv(rocks::careful(rocksdb::FileSystem::Default()))};
    std::unique_ptr<Ring> ring;
    std::optional<Bell> ring_bell;
    Metrics::Gauge ring_used;

    Disk disk;
    Network network;
    rocks::RocksKv kv;
    Environment environment{clock, disk, network, kv, fibers, random, metrics, log};
};

Ring* World::Parts::open_ring() {
    if (!config.ring) {
        log.info("files go through helper threads: io.ring is off");
        return nullptr;
    }
    int refusal = 0;
    ring = Ring::open(fibers, refusal);
    if (!ring) {
        log.warning("io_uring is refused; files go through helper threads",
                    {{"errno", refusal}, {"reason", std::strerror(refusal)}});
        return nullptr;
    }
    const int event = dup(ring->event()); // Ring and Bell close theirs, each in its own time.
    CHECK(event >= 0);
    ring_bell.emplace(loop, event);
    ring_used.set(1);
    log.debug("files go through io_uring", {{"deferred", ring->deferred()}});
    return ring.get();
}

rocksdb::Options World::Parts::kv_options() {
    rocksdb::Options options = rocks::default_options();
    options.env = kv_env.get();
    return options;
}

void World::Parts::await_stop_signal() {
    signals->async_wait([this](const error_code& error, int number) {
        if (error) return; // run() has ended.
        if (++stop_signals > 1) {
            std::fprintf(stderr, "signal %d again: ending at once\n", number);
            _exit(128 + number);
        }
        log.info("stopping", {{"signal", number}});
        fibers.cancel_all();
        await_stop_signal();
    });
}

void World::Parts::run_until_nobody_is_left(const bool& main_has_ended) {
    bool is_cancelled = false;
    while (fibers.alive_count() > 0) {
        for (std::size_t n = std::min(fibers.ready_count(), runs_per_turn); n > 0; --n)
            fibers.run_one();
        if (main_has_ended && !std::exchange(is_cancelled, true)) fibers.cancel_all();
        look();
        if (fibers.idle() && fibers.alive_count() > 0) rest();
    }
}

// Whatever has happened meanwhile, without waiting for anything.
void World::Parts::look() {
    if (ring) {
        (void)ring->submit(); // rest() asks again.
        ring->collect();
    }
    loop.poll();
    if (timer.take_rung()) armed.reset();
    fibers.expire(clock.now());
}

void World::Parts::rest() {
    if (config.spin > Duration::zero()) {
        const Time end = clock.now() + config.spin;
        while (fibers.idle() && clock.now() < end) {
            // A direct write completes in a kernel thread that may be bound to this very processor;
            // without a yield it would come to its turn only when the spinning ends.
            sched_yield();
            look();
        }
        if (!fibers.idle()) return;
    }
    arm_timer();
    if (ring) {
        // If the kernel is short of memory, the next turn tries again.
        if (!ring->submit()) return;
        ring->before_sleep();
        ring->collect();
    }
    if (fibers.idle()) loop.run_one();
    if (ring) ring->after_sleep();
}

// A timer that rings too early, for a fiber that has gone on meanwhile, costs one turn; setting it
// anew for each sleeper would cost a system call.
void World::Parts::arm_timer() {
    const std::optional<Time> next = fibers.next_expiry();
    if (!next || (armed && *armed <= *next)) return;
    // Zero would disarm it.
    const Duration when = std::max<Duration>(clock.since_machine_boot(*next), 1ns);
    itimerspec spec{};
    spec.it_value.tv_sec = static_cast<time_t>(when / 1s);
    spec.it_value.tv_nsec = static_cast<long>((when % 1s).count());
    CHECK(timerfd_settime(timer.fd(), TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
    armed = next;
}

World::World(const IoConfig& config) : parts_(std::make_unique<Parts>(config)) {
    parts_->disk.use(config.sync);
}
World::~World() = default;

void World::choose_sync() {
    const IoConfig& config = parts_->config;
    if (config.sync != SyncMethod::automatic) return;
    const SyncAdvice advice = config.ring ? real::choose_sync(config.data_dir)
                                          : SyncAdvice{SyncMethod::dsync, "io.ring is off"};
    parts_->disk.use(advice.method);
    parts_->log.info("chose how journal writes become durable",
                     {{"io.sync", to_string(advice.method)}, {"why", advice.why}});
}

Logger& World::log() { return parts_->log; }
Door& World::door() { return parts_->door; }

Result<> World::run(std::function<Result<>(Environment&)> main) {
    Parts& parts = *parts_;
    parts.stop_signals = 0;
    parts.signals.emplace(parts.loop, SIGINT, SIGTERM);
    parts.await_stop_signal();
    Result<> outcome;
    bool main_has_ended = false;
    parts.fibers.start("main", [&] {
        outcome = main(parts.environment);
        main_has_ended = true;
    });
    parts.run_until_nobody_is_left(main_has_ended);
    parts.signals.reset();
    parts.loop.poll(); // What the signals have left behind.
    return outcome;
}

} // namespace pyralog::real
