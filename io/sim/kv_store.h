// io/sim/kv_store.h
//
// A map, with a half that is on its way. What was committed is durable; commits that have not
// returned share one sync, and in a power cut the first few of them may survive, each as a whole.
#pragma once

#include "core/env/fiber.h"
#include "core/env/kv_store.h"
#include "io/sim/timeline.h"

#include <map>
#include <string>
#include <vector>

namespace pyralog::sim {

// Belongs to a node, and survives its processes.
class Facts final : public Happening {
public:
    using Map = std::map<std::string, std::string, std::less<>>;

    Facts(Timeline& timeline, NodeId node);
    ~Facts() override; // No commit may be under way.

    // ---- For the World ----

    void serve(std::uint64_t incarnation);
    // Commits under way return Error::cancelled. The first few of them happened.
    void process_ended(bool power_cut);

    // ---- For tests and oracles ----

    const Map& durable() const { return durable_; }
    std::uint64_t generation() const { return generation_; }
    // There is nothing any more. While no process runs.
    void replace() {
        durable_.clear();
        damaged_ = false;
        ++generation_;
    }
    void damage() { damaged_ = true; } // open() returns Error::corrupt from now on.
    void fail_next_commit() { fail_next_ = true; }

    void happen(std::uint64_t what) override;

private:
    friend class SimKvStore;

    // Stands on the stack of the fiber that waits for it.
    struct Commit {
        Commit(Scheduler& fibers, KvStore::Batch b) : batch(std::move(b)), done(fibers) {}
        KvStore::Batch batch;
        Signal done;
        Result<> result;
    };

    bool serves(std::uint64_t incarnation, bool changes);
    Result<> open();
    Result<> commit(Commit& commit);
    void start_sync();
    void apply(const KvStore::Batch& batch);

    Timeline& timeline_;
    NodeId node_;
    Dice dice_;
    std::uint64_t incarnation_ = 0;
    Map durable_;
    std::vector<Commit*> waiting_; // In the order in which they were asked for.
    std::size_t syncing_ = 0;      // So many of them are in the sync that runs.
    std::uint64_t sync_ = 0;       // Which sync runs; an event of an earlier one is void.
    std::uint64_t generation_ = 0;
    bool is_open_ = false;
    bool failed_ = false; // Until the next boot.
    bool damaged_ = false;
    bool fail_next_ = false;
};

// The store as one process sees it.
class SimKvStore final : public KvStore {
public:
    SimKvStore(Facts& facts, Scheduler& fibers, std::uint64_t incarnation)
        : facts_(facts), fibers_(fibers), incarnation_(incarnation) {}

    Result<> open() override;
    Result<> commit(Batch batch) override;
    Result<std::optional<std::string>> get(std::string_view key) override;
    Result<> scan(std::string_view prefix, const Visitor& visitor) override;

private:
    Facts& facts_;
    Scheduler& fibers_;
    std::uint64_t incarnation_;
};

} // namespace pyralog::sim
