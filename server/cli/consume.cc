// `pyralog consume`: the records of a topic, each partition's in order. Without --follow it ends
// where the partitions ended when it began.
#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/list_offsets.h"
#include "server/cli/kafka.h"
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

struct Reading {
    std::int64_t position = 0;
    std::int64_t end = 0; // Where it is done; not looked at if it follows.
    bool is_over = false;
};

class Consumer {
public:
    Consumer(Client& client, const CommandLine& line, From from, RecordFormat format)
        : client_(client), line_(line), topic_(line.names.front()), from_(from),
          format_(std::move(format)) {}

    std::optional<Trouble> begin();
    std::optional<Trouble> read_all(Progress& progress);
    std::uint64_t total() const { return total_; }

private:
    std::optional<Trouble> learn();
    std::map<Address, FetchRequest> requests() const;
    std::optional<Trouble> take(const FetchResponse& response);
    std::optional<Trouble> take(const FetchResponse::Partition& told);
    std::optional<Trouble> show(std::int32_t partition, const wire::RecordBatch& batch);
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
    const RecordFormat format_;
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

std::optional<Trouble> Consumer::begin() {
    if (auto trouble = learn()) return trouble;
    std::vector<PartitionName> names;
    for (const auto& [name, partition] : client_.map().partitions)
        if (!line_.partition || *line_.partition == name.partition) names.push_back(name);
    if (names.empty())
        return Trouble{topic_ + ':' + std::to_string(*line_.partition) +
                       ": there is no such partition: there are " +
                       std::to_string(client_.map().partitions.size())};
    Environment& env = client_.env();
    const Time until = env.clock.now() + fetch_patience;
    for (;;) {
        const auto starts = client_.ask_for_offsets(names, ListOffsetsRequest::earliest);
        const auto ends = client_.ask_for_offsets(names, ListOffsetsRequest::latest);
        auto places = ends;
        if (from_.kind == From::Kind::beginning) places = starts;
        if (from_.kind == From::Kind::time) places = client_.ask_for_offsets(names, from_.value);
        const bool all =
            starts.ok() && ends.ok() && places.ok() && starts.value().size() == names.size() &&
            ends.value().size() == names.size() && places.value().size() == names.size();
        for (const PartitionName& name : all ? names : std::vector<PartitionName>()) {
            Reading& reading = readings_[name.partition];
            reading.end = ends.value().at(name);
            reading.position = places.value().at(name);
            if (reading.position < 0) reading.position = reading.end; // Of that time there is none.
            if (from_.kind == From::Kind::offset) reading.position = from_.value;
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
        if (has_enough()) return {};
        if (line_.as_json)
            text_ += json_of(name, *record) + '\n';
        else
            format_.write(text_, name, *record);
        ++shown_;
    }
    passed_ +=
        static_cast<std::uint64_t>(std::max<std::int64_t>(batch.end().value - reading.position, 0));
    reading.position = std::max(reading.position, batch.end().value);
    return {};
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
    while (!rest.empty() && !has_enough()) {
        auto taken = wire::RecordBatch::take_first(rest);
        const auto* batch = std::get_if<wire::RecordBatch>(&taken);
        if (!batch) break; // Cut off, as Kafka does it.
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
    while (!is_done()) {
        is_refused_ = false;
        const auto all = requests();
        bool is_silent = all.empty();
        for (const auto& [leader, request] : all) {
            const auto told = client_.call(leader, request, fetch_version);
            if (!told.ok() && env.fibers.cancelled()) return interrupted();
            if (!told.ok()) {
                is_silent = true;
                continue;
            }
            if (auto trouble = take(told.value())) return trouble;
            std::fwrite(text_.data(), 1, text_.size(), stdout);
            if (std::fflush(stdout) != 0) return Trouble{"the output cannot be written"};
            text_.clear();
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
    return {};
}

int consume(Client& client, const CommandLine& line, const RecordFormat& format) {
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
    Consumer consumer(client, line, from, format);
    if (const auto trouble = consumer.begin()) return tell(*trouble);
    std::optional<Trouble> trouble;
    {
        Progress progress(line.names.front(), consumer.total(),
                          !line.follow && Progress::wanted(true));
        trouble = consumer.read_all(progress);
    }
    return trouble ? tell(*trouble) : 0;
}

} // namespace

int consume_records(const CommandLine& line, const Program& program) {
    if (line.count && *line.count < 1) {
        complain("--count must be 1 or more");
        return exit_mistake;
    }
    auto format = RecordFormat::parse(line.format.value_or("%s\\n"));
    if (const auto* wrong = std::get_if<std::string>(&format)) {
        complain(*wrong);
        return exit_mistake;
    }
    return with_client(line, program, {}, [&](Client& client) {
        return consume(client, line, std::get<RecordFormat>(format));
    });
}

} // namespace pyralog::cli
