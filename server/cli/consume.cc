// `pyralog consume`: the records of a topic, each partition's in order. Without --follow it ends
// where the partitions ended when it began. In a group it reads those that are its share, from
// where the group is, and commits what it has shown.
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"
#include "server/cli/aborted.h"
#include "server/cli/membership.h"
#include "server/cli/program.h"
#include "server/cli/progress.h"
#include "server/cli/record_text.h"
#include "server/kafka_batches.h"

#include <algorithm>
#include <cstdio>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr std::int16_t fetch_version = 11;
constexpr std::int32_t partition_bytes_max = 1 << 20;
constexpr std::int32_t fetch_bytes_max = 16 << 20;
constexpr std::int32_t wait_ms = 250; // Of a leader that has nothing new.
constexpr Duration fetch_pause = 100ms;
constexpr Duration fetch_patience = 60s; // Without an answer of any leader.
constexpr Duration commit_pause = 1s;
constexpr Duration farewell_patience = 10s; // For what is to be committed in the end.

struct Reading {
    std::int64_t position = 0;
    std::int64_t end = 0; // Where it is done; not looked at if it follows.
    bool is_over = false;
};

std::int8_t isolation_of(const CommandLine& line) {
    return line.isolation == "read_committed" ? read_committed : 0;
}

class Consumer {
public:
    Consumer(Client& client, const CommandLine& line, From from, RecordFormat format,
             Membership::Standing& standing)
        : client_(client), line_(line), topic_(line.names.front()), from_(from),
          isolation_(isolation_of(line)), format_(std::move(format)), standing_(standing) {
        if (line.in_group) membership_.emplace(client, *line.in_group, topic_, standing);
    }

    std::optional<Trouble> begin();
    std::optional<Trouble> read_all(Progress& progress);
    std::uint64_t total() const { return total_; }

private:
    std::optional<Trouble> learn();
    Told<std::vector<PartitionName>> partitions_meant();
    std::optional<Trouble> place(const std::vector<PartitionName>& names);
    std::optional<Trouble> attend();
    std::map<Address, FetchRequest> requests() const;
    std::optional<Trouble> take(const FetchResponse& response);
    std::optional<Trouble> take(const FetchResponse::Partition& told);
    std::optional<Trouble> show(std::int32_t partition, const wire::RecordBatch& batch);
    void pass(Reading& reading, std::int64_t end);
    std::optional<Trouble> print();
    bool is_done() const;
    bool has_enough() const { return line_.count && shown_ >= *line_.count; }
    // By the user: how one who follows hopes to end, and nobody else.
    std::optional<Trouble> interrupted() const {
        if (line_.follow) return {};
        return Trouble{topic_ + ": interrupted"};
    }
    Trouble out_of_range(std::int32_t partition, std::int64_t position) const;

    Client& client_;
    const CommandLine& line_;
    const std::string topic_;
    const From from_;
    const std::int8_t isolation_;
    const RecordFormat format_;
    Membership::Standing& standing_;
    std::optional<Membership> membership_;
    Time committed_; // When it was last done.
    std::map<std::int32_t, Reading> readings_;
    std::uint64_t total_ = 0, passed_ = 0; // Offsets, from the beginnings to the ends.
    std::int64_t shown_ = 0;
    bool is_refused_ = false; // By a leader that has gone, perhaps.
    std::string text_;
};

std::optional<Trouble> Consumer::learn() {
    const std::vector<std::string> topics{topic_};
    const auto known = client_.learn(&topics);
    if (!known.ok()) return silence(client_, known.error());
    const auto topic = client_.map().topics.find(topic_);
    if (topic == client_.map().topics.end() ||
        topic->second.error == ErrorCode::unknown_topic_or_partition)
        return Trouble{topic_ + ": there is no such topic: `pyralog topic list` names those there "
                                "are"};
    if (topic->second.error != ErrorCode::none) return refusal(topic_, topic->second.error);
    return {};
}

Told<std::vector<PartitionName>> Consumer::partitions_meant() {
    std::vector<PartitionName> names;
    if (membership_) {
        if (auto trouble = membership_->join()) return *trouble;
        for (const std::int32_t partition : membership_->assigned())
            names.push_back({topic_, partition});
        if (auto trouble = learn()) return *trouble; // There may be more of them since.
        return names;
    }
    for (const auto& [name, partition] : client_.map().partitions)
        if (!line_.partition || *line_.partition == name.partition) names.push_back(name);
    if (names.empty())
        return Trouble{topic_ + ':' + std::to_string(*line_.partition) +
                       ": there is no such partition: there are " +
                       std::to_string(client_.map().partitions.size())};
    return names;
}

std::optional<Trouble> Consumer::begin() {
    if (auto trouble = learn()) return trouble;
    auto names = partitions_meant();
    if (auto* trouble = std::get_if<Trouble>(&names))
        return client_.env().fibers.cancelled() ? interrupted() : std::move(*trouble);
    return place(std::get<0>(names));
}

// Where each is to begin and to end.
std::optional<Trouble> Consumer::place(const std::vector<PartitionName>& names) {
    readings_.clear();
    total_ = passed_;
    Environment& env = client_.env();
    const Time until = env.clock.now() + fetch_patience;
    for (;;) {
        const auto starts = client_.ask_for_offsets(names, ListOffsetsRequest::earliest);
        const auto ends = client_.ask_for_offsets(names, ListOffsetsRequest::latest, isolation_);
        auto places = ends;
        if (from_.kind == From::Kind::beginning) places = starts;
        if (from_.kind == From::Kind::time)
            places = client_.ask_for_offsets(names, from_.value, isolation_);
        const bool all =
            starts.ok() && ends.ok() && places.ok() && starts.value().size() == names.size() &&
            ends.value().size() == names.size() && places.value().size() == names.size();
        for (const PartitionName& name : all ? names : std::vector<PartitionName>()) {
            Reading& reading = readings_[name.partition];
            reading.end = ends.value().at(name);
            reading.position = places.value().at(name);
            if (reading.position < 0) reading.position = reading.end; // Of that time there is none.
            if (from_.kind == From::Kind::offset) reading.position = from_.value;
            // What the group has committed counts, if it has not been deleted since.
            const auto known = standing_.positions.find(name.partition);
            const bool is_known =
                known != standing_.positions.end() && known->second >= starts.value().at(name);
            if (is_known) reading.position = known->second;
            if (is_known) reading.end = std::max(reading.end, reading.position);
            if (reading.position < starts.value().at(name) || reading.position > reading.end)
                return out_of_range(name.partition, reading.position);
            total_ += static_cast<std::uint64_t>(reading.end - reading.position);
        }
        if (all) return {};
        if (env.clock.now() > until || !env.fibers.sleep_until(env.clock.now() + fetch_pause).ok())
            return Trouble{topic_ + ": not all partitions have a leader: see `pyralog cluster "
                                    "status`"};
        if (auto trouble = learn()) return trouble;
    }
}

// What a member of a group owes the others, between two looks at its partitions.
std::optional<Trouble> Consumer::attend() {
    Environment& env = client_.env();
    const auto owed = [&]() -> std::optional<Trouble> {
        if (auto trouble = membership_->beat()) return trouble;
        const bool must_join = membership_->must_join();
        if (!must_join && env.clock.now() < committed_ + commit_pause) return {};
        committed_ = env.clock.now();
        if (auto trouble = membership_->commit()) return trouble;
        return membership_->must_join() ? begin() : std::nullopt;
    };
    auto trouble = owed();
    return trouble && env.fibers.cancelled() ? interrupted() : trouble;
}

Trouble Consumer::out_of_range(std::int32_t partition, std::int64_t position) const {
    const PartitionName name{topic_, partition};
    const auto ask = [&](std::int64_t time) {
        const auto told = client_.ask_for_offsets({name}, time);
        return told.ok() && !told.value().empty() ? std::to_string(told.value().begin()->second)
                                                  : std::string("?");
    };
    return {to_string(name) + ": has no offset " + std::to_string(position) + ": it holds " +
            ask(ListOffsetsRequest::earliest) + " up to " + ask(ListOffsetsRequest::latest) +
            ": read --from beginning"};
}

bool Consumer::is_done() const {
    if (has_enough()) return true;
    if (line_.follow) return false;
    return std::ranges::all_of(readings_, [](const auto& reading) {
        return reading.second.is_over || reading.second.position >= reading.second.end;
    });
}

std::map<Address, FetchRequest> Consumer::requests() const {
    std::map<Address, FetchRequest> all;
    for (const auto& [partition, reading] : readings_) {
        if (!line_.follow && (reading.is_over || reading.position >= reading.end)) continue;
        const auto leader = client_.map().leader_of({topic_, partition});
        if (!leader) continue;
        FetchRequest& request = all[*leader];
        request.max_wait_ms = wait_ms;
        request.min_bytes = 1;
        request.max_bytes = fetch_bytes_max;
        request.isolation_level = isolation_;
        if (request.topics.empty()) request.topics.push_back({topic_, {}});
        request.topics.front().partitions.push_back(
            {partition, -1, reading.position, -1, -1, partition_bytes_max});
    }
    return all;
}

std::optional<Trouble> Consumer::show(std::int32_t partition, const wire::RecordBatch& batch) {
    Reading& reading = readings_.at(partition);
    const PartitionName name{topic_, partition};
    const auto plain = server::plain(batch);
    if (!plain)
        return Trouble{to_string(name) + ": offset " + std::to_string(batch.first().value) +
                       ": cannot be decompressed"};
    wire::RecordReader reader(*plain);
    while (!batch.header().is_control()) {
        const auto next = reader.next();
        if (!next.ok())
            return Trouble{to_string(name) + ": offset " + std::to_string(batch.first().value) +
                           ": is no batch of records"};
        const std::optional<wire::Record>& record = next.value();
        if (!record) break;
        if (record->offset.value < reading.position) continue;
        if (!line_.follow && record->offset.value >= reading.end) break;
        if (has_enough()) break;
        if (line_.as_json)
            text_ += json_of(name, *record) + '\n';
        else
            format_.write(text_, name, *record);
        ++shown_;
        pass(reading, record->offset.value + 1);
    }
    // What else is in it is not to be shown; of what is left when there is enough nobody knows.
    const std::int64_t end = batch.end().value;
    if (!has_enough()) pass(reading, line_.follow ? end : std::min(end, reading.end));
    return {};
}

void Consumer::pass(Reading& reading, std::int64_t end) {
    passed_ += static_cast<std::uint64_t>(std::max<std::int64_t>(end - reading.position, 0));
    reading.position = std::max(reading.position, end);
}

std::optional<Trouble> Consumer::take(const FetchResponse::Partition& told) {
    const auto found = readings_.find(told.index);
    if (found == readings_.end()) return Trouble{topic_ + ": strange answer"};
    Reading& reading = found->second;
    switch (told.error) {
    case ErrorCode::none: break;
    case ErrorCode::offset_out_of_range: return out_of_range(told.index, reading.position);
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::leader_not_available:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::replica_not_available:
    case ErrorCode::offset_not_available:
    case ErrorCode::fenced_leader_epoch:
    case ErrorCode::unknown_leader_epoch:
    case ErrorCode::kafka_storage_error: is_refused_ = true; return {};
    default: return refusal(to_string(PartitionName{topic_, told.index}), told.error);
    }
    Bytes rest = joined(told.records.value_or(BytesChain()));
    Aborted aborted(told.aborted_transactions.value_or(Aborted::Transactions()));
    while (!rest.empty() && !has_enough()) {
        auto taken = wire::RecordBatch::take_first(rest);
        const auto* batch = std::get_if<wire::RecordBatch>(&taken);
        if (!batch) break; // Cut off, as Kafka does it.
        if (aborted.has(*batch)) {
            pass(reading, batch->end().value);
            continue;
        }
        if (auto trouble = show(told.index, *batch)) return trouble;
    }
    return {};
}

std::optional<Trouble> Consumer::take(const FetchResponse& response) {
    if (response.error != ErrorCode::none) return refusal(topic_, response.error);
    bool is_empty = true;
    for (const auto& topic : response.topics)
        for (const auto& partition : topic.partitions) {
            if (partition.error != ErrorCode::none ||
                size_of(partition.records.value_or(BytesChain())) > 0)
                is_empty = false;
            if (auto trouble = take(partition)) return trouble;
        }
    if (!is_empty) return {};
    // Nothing at all, though they reach further: what was there has been compacted away.
    for (const auto& topic : response.topics)
        for (const auto& partition : topic.partitions) {
            Reading& reading = readings_.at(partition.index);
            if (partition.high_watermark >= reading.end) reading.is_over = true;
        }
    return {};
}

std::optional<Trouble> Consumer::read_all(Progress& progress) {
    Environment& env = client_.env();
    Time answered = env.clock.now();
    for (;;) {
        if (membership_)
            if (auto trouble = attend()) return trouble;
        if (is_done()) return {};
        is_refused_ = false;
        const auto all = requests();
        bool is_silent = all.empty() && !readings_.empty();
        // Members of a group may be more than there are partitions.
        if (readings_.empty() && !env.fibers.sleep_until(env.clock.now() + fetch_pause).ok())
            return interrupted();
        for (const auto& [leader, request] : all) {
            const auto told = client_.call(leader, request, fetch_version);
            if (!told.ok() && env.fibers.cancelled()) return interrupted();
            if (!told.ok()) {
                is_silent = true;
                continue;
            }
            auto trouble = take(told.value());
            if (auto unprinted = print()) return unprinted;
            if (trouble) return trouble;
            progress.at(passed_, env.clock.now());
            if (has_enough()) return {};
        }
        if (!is_silent && !is_refused_) {
            answered = env.clock.now();
            continue;
        }
        if (env.clock.now() > answered + fetch_patience)
            return Trouble{topic_ + ": no leader answers: see `pyralog cluster status`"};
        if (!env.fibers.sleep_until(env.clock.now() + fetch_pause).ok()) return interrupted();
        const std::vector<std::string> topics{topic_};
        (void)client_.learn(&topics); // Who knows nothing new asks again.
    }
}

// What is on its way to the reader has been shown.
std::optional<Trouble> Consumer::print() {
    const std::size_t written = std::fwrite(text_.data(), 1, text_.size(), stdout);
    if (written < text_.size() || std::fflush(stdout) != 0)
        return Trouble{"the output cannot be written"};
    text_.clear();
    for (const auto& [partition, reading] : readings_)
        standing_.positions[partition] = reading.position;
    return {};
}

int consume(Client& client, const CommandLine& line, const RecordFormat& format,
            Membership::Standing& standing) {
    From from{line.follow ? From::Kind::end : From::Kind::beginning, 0};
    if (line.from) {
        const auto given = parse_from(*line.from, client.env().clock.wall());
        if (!given) {
            complain("--from must be beginning, end, an offset or a time like "
                     "2026-11-23T21:00:00Z or 15m, not \"" +
                     *line.from + '"');
            return exit_mistake;
        }
        from = *given;
    }
    Consumer consumer(client, line, from, format, standing);
    if (const auto trouble = consumer.begin()) return tell(*trouble);
    std::optional<Trouble> trouble;
    {
        Progress progress(line.names.front(), consumer.total(),
                          !line.follow && Progress::wanted(true));
        trouble = consumer.read_all(progress);
    }
    return trouble ? tell(*trouble) : 0;
}

// The others need not wait until this member is missed.
int say_farewell(Client& client, const CommandLine& line, Membership::Standing& standing) {
    Membership membership(client, *line.in_group, line.names.front(), standing);
    if (const auto trouble = membership.commit()) return tell(*trouble);
    if (membership.must_join())
        return tell({*line.in_group + ": took this member for gone: what it has shown last will be "
                                      "shown again"});
    if (const auto trouble = membership.leave()) return tell(*trouble);
    return 0;
}

bool makes_sense(const CommandLine& line) {
    if (line.count && *line.count < 1)
        complain("--count must be 1 or more");
    else if (line.isolation != "read_committed" && line.isolation != "read_uncommitted")
        complain("--isolation must be read_committed or read_uncommitted, not \"" + line.isolation +
                 '"');
    else if (line.in_group && line.partition)
        complain("--partition and --group exclude each other: a group shares all partitions");
    else if (line.in_group && line.in_group->empty())
        complain("--group must not be empty");
    else
        return true;
    return false;
}

} // namespace

int consume_records(const CommandLine& line, const Program& program) {
    if (!makes_sense(line)) return exit_mistake;
    auto format = RecordFormat::parse(line.format.value_or("%s\\n"));
    if (const auto* wrong = std::get_if<std::string>(&format)) {
        complain(*wrong);
        return exit_mistake;
    }
    Membership::Standing standing;
    const int code = with_client(line, program, {}, [&](Client& client) {
        return consume(client, line, std::get<RecordFormat>(format), standing);
    });
    // Whoever was interrupted can wait for nothing more, but this can be done from anew.
    if (standing.member_id.empty()) return code;
    const int left = with_client(line, program, farewell_patience, [&](Client& client) {
        return say_farewell(client, line, standing);
    });
    return code != 0 ? code : left;
}

} // namespace pyralog::cli
