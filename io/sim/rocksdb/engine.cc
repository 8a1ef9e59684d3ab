#include "io/sim/rocksdb/engine.h"

#include "io/rocksdb/rocks_kv.h"
#include "io/sim/rocksdb/engine_env.h"

#include <rocksdb/table.h>

#include <cstdarg>
#include <deque>
#include <optional>

namespace pyralog::sim {

namespace {

// What no file shows: RocksDB's own work.
constexpr Delay call_time{1us, 20us, never, 0us};
constexpr std::size_t block_bytes = 4096;

// Calls follow each other, as on the one helper thread of a real node.
class EngineExecutor final : public rocks::Executor {
public:
    EngineExecutor(EngineEnv& env, SimDisk& disk, Medium::AtOnce& at_once, Scheduler& fibers,
                   Dice dice)
        : env_(env), disk_(disk), at_once_(at_once), fibers_(fibers), dice_(std::move(dice)) {}
    ~EngineExecutor() override { CHECK(!is_busy_); }

    void run_body(FiberBody& body) override {
        if (is_busy_) {
            Signal turn(fibers_);
            waiting_.push_back(&turn);
            turn.wait_through(); // It is still busy then: with us.
        }
        is_busy_ = true;
        {
            const Inside inside(env_);
            body.run();
            env_.run_jobs();
        }
        at_once_.cost += dice_.draw(call_time);
        (void)disk_.wait_for_cost(); // Whoever asked will see that the process has ended.
        if (waiting_.empty()) {
            is_busy_ = false;
        } else {
            waiting_.front()->set();
            waiting_.pop_front();
        }
    }

private:
    EngineEnv& env_;
    SimDisk& disk_;
    Medium::AtOnce& at_once_;
    Scheduler& fibers_;
    Dice dice_;
    bool is_busy_ = false;
    std::deque<Signal*> waiting_;
};

std::string stream_name(const World::StoreContext& context, std::string_view purpose) {
    return "node/" + std::to_string(context.node.value) + "/kv/" +
           std::to_string(context.incarnation) + '/' + std::string(purpose);
}

class Silence final : public rocksdb::Logger {
public:
    using Logger::Logv;
    void Logv(const char*, va_list) override {}
};

class Engine final : public KvStore {
public:
    explicit Engine(const World::StoreContext& context)
        : disk_(context.medium, context.fibers, context.incarnation, &at_once_),
          dice_(context.timeline.root, stream_name(context, "settings")),
          env_(context.timeline, context.node, context.incarnation, disk_, at_once_),
          executor_(env_, disk_, at_once_, context.fibers,
                    Dice(context.timeline.root, stream_name(context, "time"))),
          fibers_(context.fibers), log_(context.log) {}

    // RocksDB closes its files and waits for its jobs; neither does anything any more.
    ~Engine() override {
        const Inside inside(env_);
        store_.reset();
    }

    Result<> open() override {
        if (!disk_.is_served()) return Error::cancelled;
        CHECK(!store_);
        store_.emplace(
            std::string(engine_directory), options(), [] { return Result<>(); }, executor_, fibers_,
            log_);
        const HookCheck hooks;
        const Result<> opened = unless_ended([&] { return store_->open(); });
        if (opened.ok()) hooks.opened();
        return opened;
    }
    Result<> commit(Batch batch) override {
        CHECK(store_);
        return unless_ended([&] { return store_->commit(std::move(batch)); });
    }
    Result<std::optional<std::string>> get(std::string_view key) override {
        CHECK(store_);
        return unless_ended([&] { return store_->get(key); });
    }
    Result<> scan(std::string_view prefix, const Visitor& visitor) override {
        CHECK(store_);
        return unless_ended([&] { return store_->scan(prefix, visitor); });
    }

private:
    rocksdb::Options options();

    // What RocksDB says after the process has ended is of no interest to anybody.
    template <class Call>
    std::invoke_result_t<Call> unless_ended(Call call) {
        if (!disk_.is_served()) return Error::cancelled;
        auto result = call();
        if (!disk_.is_served()) return Error::cancelled;
        return result;
    }

    Medium::AtOnce at_once_;
    SimDisk disk_;
    Dice dice_;
    EngineEnv env_;
    EngineExecutor executor_;
    Scheduler& fibers_;
    Logger& log_;
    std::optional<rocks::RocksKv> store_;
};

// Everything that would start a thread, look at the machine or remember another run is off; the
// rest is as on a real node.
rocksdb::Options Engine::options() {
    rocksdb::Options options = rocks::default_options();
    options.env = &env_;
    options.info_log.reset(new Silence);
    options.db_host_id = "simulated";
    options.write_buffer_size = std::size_t{16_KiB} << dice_.pick(9);
    options.arena_block_size = block_bytes;
    options.max_open_files = -1;
    options.max_file_opening_threads = 1;
    options.max_subcompactions = 1;
    options.max_bgerror_resume_count = 0;
    options.skip_stats_update_on_db_open = true;
    options.allow_concurrent_memtable_write = false;
    options.enable_write_thread_adaptive_yield = false;
    options.enable_pipelined_write = false;
    options.enable_thread_tracking = false;
    options.ttl = 0;
    options.periodic_compaction_seconds = 0;
    return options;
}

} // namespace

std::unique_ptr<KvStore> make_engine(const World::StoreContext& context) {
    return std::make_unique<Engine>(context);
}

} // namespace pyralog::sim
