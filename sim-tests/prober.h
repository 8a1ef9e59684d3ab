// sim-tests/prober.h
//
// A client that wants to know where each log ends, of every broker, whether it leads or not; most
// of all in the moments when a broker could be wrong: while leaders change, and while one stands
// still that does not know yet that it leads no more. Its requests wait in the sockets of brokers
// that do not answer, and are answered by whatever they are when they wake up. What it is told goes
// into the History, whose rules judge it.
#pragma once

#include "core/env/environment.h"
#include "io/sim/dice.h"
#include "sim-tests/history.h"
#include "sim-tests/kafka_client.h"

#include <functional>
#include <vector>

namespace pyralog::simtest {

class Prober {
public:
    static constexpr std::size_t asked_max = 5000; // In one run, by all.
    static constexpr std::size_t waiting_max = 16; // For the answers of one broker.

    // `now` is the world's time; `dice` one for each of `brokers`, with each of whom there is one
    // conversation; who is in the list twice has two.
    Prober(NodeId self, std::vector<TopicPartition> partitions, History& history,
           std::vector<Address> brokers, std::function<Duration()> now,
           std::vector<sim::Dice> dice);

    // Now is such a moment: until then it asks each broker again and again, with pauses of at most
    // `gap`. From outside of all fibers.
    void excite(Duration until, Duration gap);

    void run(Environment& env);

    std::uint64_t asked() const { return asked_; }
    std::uint64_t answered() const { return answered_; }

private:
    struct Broker {
        Address address;
        sim::Dice dice;
    };
    struct Asked {
        kafka::RequestHeader header;
        std::int32_t partition = 0;
        Duration invoked{0};
        bool is_fetch = false;
    };
    // The conversation with one broker.
    struct Talk {
        Environment& env;
        KafkaConnection& connection;
        Broker& broker;
        std::deque<Asked> waiting;
        Condition changed;
    };

    void keep_talking(Environment& env, Broker& broker);
    Result<> ask(Talk& talk);
    Result<> ask_one(Talk& talk);
    Result<> listen(Talk& talk);
    Result<> hear_one(Talk& talk, const Asked& asked);
    Duration next_gap(const Talk& talk);

    const NodeId self_;
    const std::vector<TopicPartition> partitions_;
    History& history_;
    const std::function<Duration()> now_;
    std::vector<Broker> brokers_;
    Duration excited_until_{0};
    Duration gap_{0};
    std::vector<Condition*> sleepers_; // Notified when it gets excited.
    std::int64_t next_connection_ = 1;
    std::uint64_t asked_ = 0, answered_ = 0;
};

} // namespace pyralog::simtest
