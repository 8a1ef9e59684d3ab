// What needs no disk and no network: switching fibers, summing up bytes, deciding.
#include "bench/bench.h"
#include "core/base/crc32c.h"
#include "core/env/fiber.h"
#include "raft/consensus.h"

#include <map>
#include <memory>
#include <vector>

using namespace pyralog;

namespace {

// One of `fibers` after the other: `times` switches to a fiber and back.
void switch_fibers(std::uint64_t times, std::uint64_t fibers) {
    StackPool stacks;
    Scheduler scheduler(stacks);
    for (std::uint64_t i = 0; i < fibers; ++i)
        scheduler.start("switch", [&scheduler, share = times / fibers] {
            for (std::uint64_t n = 0; n < share; ++n) scheduler.yield();
        });
    while (!scheduler.idle()) scheduler.run_one();
}

void start_fibers(std::uint64_t times) {
    StackPool stacks;
    Scheduler scheduler(stacks);
    for (std::uint64_t i = 0; i < times; ++i) {
        scheduler.start("short", [] {});
        scheduler.run_one();
    }
}

std::string bytes_per_second(std::size_t size, bool portable) {
    Buffer buffer(size);
    for (std::size_t i = 0; i < size; ++i) buffer.data()[i] = static_cast<std::byte>(i * 31);
    const Bytes data = std::move(buffer).freeze();
    std::uint32_t sum = 0;
    const double pace = bench::per_second([&](std::uint64_t times) {
        for (; times > 0; --times)
            sum = portable ? crc32c_portable(data.view(), sum) : crc32c(data.view(), sum);
    });
    asm volatile("" : : "r"(sum)); // Or all of it would be left out.
    return bench::figure(pace * static_cast<double>(size)) + "B/s";
}

// Three replicas whose disks and network take no time.
class Trio {
public:
    Trio() {
        for (const NodeId node : members_.voters)
            replicas_[node] = {std::make_unique<raft::Consensus>(
                                   config_, node, members_, raft::Vote{}, Position{}, Position{},
                                   TermTable(), Random(1).fork("trio"), Time{}),
                               {}};
        leader().campaign(Time{});
        settle();
        CHECK(leader().role() == raft::Role::leader);
    }

    // Proposes so many entries at once, until all three have them. Time goes on by a microsecond.
    void commit(int entries) {
        now_ += 1us;
        const Position before = leader().end();
        for (int i = 0; i < entries; ++i) CHECK(leader().propose(now_, 1).ok());
        settle();
        CHECK(leader().committed().index == before.index + entries);
    }
    std::uint64_t steps() const { return steps_; }

private:
    struct Replica {
        std::unique_ptr<raft::Consensus> consensus;
        std::vector<raft::Entry> log;
    };
    struct Packet {
        NodeId from, to;
        raft::Message message;
    };

    raft::Consensus& leader() { return *replicas_.at(NodeId(1)).consensus; }

    void settle() {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto& [node, replica] : replicas_) busy |= carry_out(node, replica);
            std::vector<Packet> packets = std::exchange(packets_, {});
            for (const Packet& packet : packets) {
                replicas_.at(packet.to).consensus->receive(now_, packet.from, packet.message);
                ++steps_;
                busy = true;
            }
        }
    }

    bool carry_out(NodeId node, Replica& replica) {
        raft::Effects effects = replica.consensus->take_effects();
        for (const auto& step : effects.persist)
            if (const auto* append = std::get_if<raft::Append>(&step))
                replica.log.push_back(append->entry);
        for (raft::Envelope& envelope : effects.send)
            packets_.push_back({node, envelope.to, std::move(envelope.message)});
        for (raft::Entries& wanted : effects.replicate) {
            const auto from = static_cast<std::size_t>(wanted.request.first.index);
            Position end = wanted.request.first;
            for (std::size_t i = from; i < replica.log.size(); ++i) {
                wanted.request.entries.push_back(replica.log[i]);
                end = end.after(replica.log[i].records);
            }
            packets_.push_back({node, wanted.to, std::move(wanted.request)});
            replica.consensus->sent(wanted.to, end);
        }
        for (raft::Envelope& envelope : effects.send_when_durable)
            packets_.push_back({node, envelope.to, std::move(envelope.message)});
        if (!effects.needs_disk()) return false;
        replica.consensus->persisted(effects.ticket);
        ++steps_;
        return true;
    }

    raft::RaftConfig config_;
    raft::Members members_{{NodeId(1), NodeId(2), NodeId(3)}, {}, {}};
    std::map<NodeId, Replica> replicas_;
    std::vector<Packet> packets_;
    std::uint64_t steps_ = 0;
    Time now_{};
};

std::string commits(int entries, std::string& steps) {
    std::uint64_t counted = 0;
    std::uint64_t rounds = 0;
    const double pace = bench::per_second([&](std::uint64_t times) {
        Trio trio;
        const std::uint64_t before = trio.steps();
        for (std::uint64_t i = 0; i < times; ++i) trio.commit(entries);
        counted = trio.steps() - before;
        rounds = times;
    });
    steps = bench::figure(pace * static_cast<double>(counted) / static_cast<double>(rounds)) + "/s";
    return bench::figure(pace * entries) + "/s";
}

std::string nanos_each(double pace) { return bench::figure(1e9 / pace) + " ns"; }

} // namespace

int main() {
    bench::print_heading("core");
    bench::Table table({"what", "figure"});
    table.row({"fiber switch, there and back, 2 fibers",
               nanos_each(bench::per_second([](std::uint64_t n) { switch_fibers(n, 2); }))});
    table.row({"fiber switch, there and back, 1000 fibers",
               nanos_each(bench::per_second([](std::uint64_t n) { switch_fibers(n, 1000); }))});
    table.row({"fiber started, run and ended", nanos_each(bench::per_second(start_fibers))});
    for (const std::size_t size : {std::size_t{64}, 4_KiB, 1_MiB}) {
        const std::string of = " of " + std::to_string(size) + " bytes";
        table.row({"CRC-32C" + of + ", instruction", bytes_per_second(size, false)});
        table.row({"CRC-32C" + of + ", portable", bytes_per_second(size, true)});
    }
    for (const int entries : {1, 64}) {
        std::string steps;
        const std::string committed = commits(entries, steps);
        const std::string at_once = std::to_string(entries) + " at once, three replicas";
        table.row({"consensus: entries committed, " + at_once, committed});
        table.row({"consensus: inputs taken, " + at_once, steps});
    }
    table.print();
}
