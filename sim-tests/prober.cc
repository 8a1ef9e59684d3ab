#include "sim-tests/prober.h"

#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"

#include <algorithm>

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

constexpr Duration calm_gap_max = 500ms;
// Whoever leaves so many requests unanswered is asked at a steady pace, so that there is room for
// those that come when others lead already.
constexpr std::size_t waiting_some = 6;
constexpr Duration reconnect_pause_max = 100ms;
// Longer than any leader stands still.
constexpr Duration answer_patience = 20s;

} // namespace

Prober::Prober(NodeId self, std::vector<TopicPartition> partitions, History& history,
               std::vector<Address> brokers, std::function<Duration()> now,
               std::vector<sim::Dice> dice)
    : self_(self), partitions_(std::move(partitions)), history_(history), now_(std::move(now)) {
    CHECK(brokers.size() == dice.size() && !partitions_.empty());
    for (std::size_t i = 0; i < brokers.size(); ++i)
        brokers_.push_back({brokers[i], std::move(dice[i])});
}

void Prober::excite(Duration until, Duration gap) {
    if (now_() >= excited_until_ || gap < gap_) gap_ = gap;
    excited_until_ = std::max(excited_until_, until);
    for (Condition* sleeper : sleepers_) sleeper->notify_all();
}

void Prober::run(Environment& env) {
    Scope scope(env.fibers);
    for (Broker& broker : brokers_)
        scope.spawn("probe", [this, &env, &broker] { keep_talking(env, broker); });
    scope.join();
}

// One connection after the other, each for as long as it lasts.
void Prober::keep_talking(Environment& env, Broker& broker) {
    for (;;) {
        const std::int64_t number = next_connection_++;
        auto made = KafkaConnection::open(env, broker.address, number,
                                          env.random.fork("probe " + std::to_string(number)));
        if (made.ok()) {
            Talk talk{env, *made.value(), broker, {}, Condition(env.fibers)};
            sleepers_.push_back(&talk.changed);
            {
                Scope scope(env.fibers);
                scope.spawn("probe ask", [&] {
                    (void)ask(talk);
                    scope.cancel();
                });
                (void)listen(talk);
                scope.cancel();
                scope.join();
            }
            std::erase(sleepers_, &talk.changed);
        }
        const Duration pause = broker.dice.between(Duration(1ms), reconnect_pause_max);
        if (!env.fibers.sleep_until(env.clock.now() + pause).ok()) return;
    }
}

// As often within microseconds as within milliseconds.
Duration Prober::next_gap(const Talk& talk) {
    Broker& broker = talk.broker;
    if (now_() >= excited_until_) return broker.dice.between(Duration(1ms), calm_gap_max);
    if (talk.waiting.size() >= waiting_some) return broker.dice.between(gap_ / 2, 3 * gap_ / 2);
    std::uint64_t doublings = 8;
    while (Duration(std::int64_t{2} << doublings) < gap_) ++doublings;
    const auto most = std::int64_t{1} << broker.dice.between(std::uint64_t{8}, doublings);
    return broker.dice.between(Duration{0}, Duration(most));
}

Result<> Prober::ask(Talk& talk) {
    while (asked_ < asked_max) {
        const bool was_excited = now_() < excited_until_;
        {
            const Deadline gap(talk.env.fibers, talk.env.clock.now() + next_gap(talk));
            const Result<> waited =
                talk.changed.wait([&] { return !was_excited && now_() < excited_until_; });
            if (!waited.ok() && waited.error() != Error::timed_out) return waited;
        }
        TRY(talk.changed.wait([&] { return talk.waiting.size() < waiting_max; }));
        TRY(ask_one(talk));
    }
    return talk.env.fibers.park();
}

Result<> Prober::ask_one(Talk& talk) {
    const TopicPartition& name = partitions_[talk.broker.dice.pick(partitions_.size())];
    Asked asked;
    asked.partition = history_.partition(name);
    asked.is_fetch = talk.broker.dice.pick(8) == 7;
    asked.invoked = now_();
    if (asked.is_fetch) {
        kafka::FetchRequest request;
        request.max_bytes = 1;
        kafka::FetchRequest::Partition wanted;
        wanted.index = name.partition;
        wanted.max_bytes = 1;
        request.topics.push_back({name.topic, {wanted}});
        asked.header = TRY(talk.connection.send(request));
    } else {
        kafka::ListOffsetsRequest request;
        request.topics.push_back(
            {name.topic, {{name.partition, -1, kafka::ListOffsetsRequest::latest}}});
        asked.header = TRY(talk.connection.send(request));
    }
    ++asked_;
    talk.waiting.push_back(asked);
    talk.changed.notify_all();
    return {};
}

Result<> Prober::listen(Talk& talk) {
    for (;;) {
        TRY(talk.changed.wait([&] { return !talk.waiting.empty(); }));
        const Deadline patience(talk.env.fibers, talk.env.clock.now() + answer_patience);
        TRY(hear_one(talk, talk.waiting.front()));
        talk.waiting.pop_front();
        talk.changed.notify_all();
    }
}

// A broker that does not lead says so, which tells nothing.
Result<> Prober::hear_one(Talk& talk, const Asked& asked) {
    if (asked.is_fetch) {
        const auto answer = TRY(talk.connection.receive<kafka::FetchResponse>(asked.header));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error != ErrorCode::none) return {};
        Fetch fetch;
        fetch.client = self_.value;
        fetch.connection = talk.connection.number();
        fetch.partition = asked.partition;
        fetch.invoked = asked.invoked;
        fetch.completed = now_();
        fetch.high_watermark = told.high_watermark;
        fetch.log_start = told.log_start_offset;
        history_.saw(std::move(fetch));
    } else {
        const auto answer = TRY(talk.connection.receive<kafka::ListOffsetsResponse>(asked.header));
        if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
            return Error::malformed;
        const auto& told = answer.topics[0].partitions[0];
        if (told.error != ErrorCode::none) return {};
        history_.asked(
            {self_.value, asked.partition, asked.invoked, now_(), told.offset, told.leader_epoch});
    }
    ++answered_;
    return {};
}

} // namespace pyralog::simtest
