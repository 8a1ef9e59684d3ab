// `pyralog produce`: lines become records. One batch of each partition is on its way at a time.
// With acks=all it carries the sequence of an idempotent producer, and is sent again until a leader
// says that it has it: so a line is stored once, whatever happened meanwhile.
#include "core/wire/kafka/produce.h"
#include "core/wire/kafka/init_producer_id.h"
#include "core/wire/kafka/metadata.h"
#include "server/cli/compress.h"
#include "server/cli/kafka.h"
#include "server/cli/lines.h"
#include "server/cli/program.h"
#include "server/cli/progress.h"
#include "server/cli/record_text.h"
#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyralog::cli {

using namespace wire::kafka;

namespace {

constexpr std::int16_t produce_version = 9;
constexpr std::int16_t init_version = 3;
constexpr std::size_t batch_bytes = 512_KiB;
constexpr std::size_t record_overhead = 32; // At most, of a key and a value,
constexpr std::size_t header_overhead = 10; // and of a header.
constexpr Duration idle_pause = 10ms;       // Between two looks if somebody has typed something.
constexpr Duration produce_pause = 100ms;
constexpr Duration produce_patience = 60s; // Without any progress.
constexpr std::int32_t produce_patience_ms = 10'000;

struct InputLine {
    std::uint64_t number = 0;
    NewRecord record;
    std::size_t size() const {
        std::size_t size = record_overhead;
        if (record.key) size += record.key->size();
        if (record.value) size += record.value->size();
        for (const wire::RecordHeader& header : record.headers)
            size += header.key.size() + (header.value ? header.value->size() : 0) + header_overhead;
        return size;
    }
};

// What waits for one partition, and how far it is.
struct Lane {
    std::deque<InputLine> waiting;
    std::size_t in_batch = 0; // The first of these are in `batch`.
    std::optional<Bytes> batch;
    std::int32_t next_sequence = 0;
    std::uint64_t written = 0;
    std::int64_t first = -1, end = -1;   // Offsets, as far as somebody has said.
    ErrorCode refused = ErrorCode::none; // What it was told last.
};

bool will_pass(ErrorCode error) {
    switch (error) {
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::leader_not_available:
    case ErrorCode::unknown_topic_or_partition: // Of a topic that was just made.
    case ErrorCode::request_timed_out:
    case ErrorCode::broker_not_available:
    case ErrorCode::replica_not_available:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
    case ErrorCode::kafka_storage_error: return true;
    default: return false;
    }
}

class Producer {
public:
    Producer(Client& client, const CommandLine& line, std::int16_t acks,
             wire::Compression compression)
        : client_(client), line_(line), topic_(line.names.front()), acks_(acks),
          compression_(compression) {}

    std::optional<Trouble> begin();
    std::optional<Trouble> add(std::uint64_t number, NewRecord record);
    bool is_full() const { return waiting_bytes_ >= batch_bytes; }
    bool is_empty() const { return waiting_bytes_ == 0; }
    // All that waits is with the brokers.
    std::optional<Trouble> flush();
    // With acks=0: the brokers have read it all.
    void part();

    std::uint64_t written() const { return written_; }
    Json summary() const;

private:
    std::int64_t lane_for(const NewRecord& record);
    void make_batch(Lane& lane) const;
    std::map<Address, ProduceRequest> requests();
    std::optional<Trouble> take(const ProduceResponse& response);
    std::optional<Trouble> take(const ProduceResponse::Partition& told);
    void settle(Lane& lane, std::int64_t offset);
    Trouble out_of_patience() const;

    Client& client_;
    const CommandLine& line_;
    const std::string topic_;
    const std::int16_t acks_;
    const wire::Compression compression_;
    std::int64_t producer_id_ = -1;
    std::int16_t producer_epoch_ = -1;
    std::size_t batch_bytes_max_ = batch_bytes;
    std::map<std::int32_t, Lane> lanes_;
    std::int32_t turn_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t written_ = 0;
};

std::optional<Trouble> Producer::begin() {
    Environment& env = client_.env();
    const std::vector<std::string> topics{topic_};
    const Time end = env.clock.now() + produce_patience;
    for (;;) {
        const auto known = client_.learn(&topics, true);
        if (!known.ok()) return silence(client_, known.error());
        const auto& all = client_.map().topics;
        const auto topic = all.find(topic_);
        const ErrorCode error = topic == all.end() ? ErrorCode::none : topic->second.error;
        if (error == ErrorCode::none && topic != all.end() && topic->second.partitions > 0) break;
        if (error == ErrorCode::unknown_topic_or_partition)
            return Trouble{topic_ +
                           ": there is no such topic: make it with `pyralog topic create`"};
        if (error != ErrorCode::none && !will_pass(error)) return refusal(topic_, error);
        if (env.clock.now() > end || !env.fibers.sleep_until(env.clock.now() + produce_pause).ok())
            return refusal(topic_, error);
    }
    for (const auto& [name, partition] : client_.map().partitions) lanes_[name.partition];
    if (line_.partition && !lanes_.contains(static_cast<std::int32_t>(*line_.partition)))
        return Trouble{topic_ + ':' + std::to_string(*line_.partition) +
                       ": there is no such partition: there are " + std::to_string(lanes_.size())};
    if (acks_ != -1) return {};
    const auto told = client_.call_any(InitProducerIdRequest(), init_version);
    if (!told.ok()) return silence(client_, told.error());
    if (told.value().error != ErrorCode::none) return refusal(topic_, told.value().error);
    producer_id_ = told.value().producer_id;
    producer_epoch_ = told.value().producer_epoch;
    return {};
}

// Without a key a partition is filled before it is the next one's turn, so that batches are large.
std::int64_t Producer::lane_for(const NewRecord& record) {
    if (line_.partition) return *line_.partition;
    if (record.partition) return *record.partition;
    const auto count = static_cast<std::int32_t>(lanes_.size());
    if (record.key) return partition_of_key(*record.key, count);
    for (std::int32_t i = 0; i < count; ++i, turn_ = (turn_ + 1) % count)
        if (client_.map().leader_of({topic_, turn_})) break;
    return turn_;
}

std::optional<Trouble> Producer::add(std::uint64_t number, NewRecord record) {
    const std::int64_t partition = lane_for(record);
    if (partition < 0 || std::cmp_greater_equal(partition, lanes_.size()))
        return Trouble{topic_ + ": line " + std::to_string(number) + ": there is no partition " +
                       std::to_string(partition) + ": there are " + std::to_string(lanes_.size())};
    Lane& lane = lanes_.at(static_cast<std::int32_t>(partition));
    lane.waiting.push_back({number, std::move(record)});
    waiting_bytes_ += lane.waiting.back().size();
    return {};
}

void Producer::make_batch(Lane& lane) const {
    const std::int64_t now = client_.env().clock.wall().unix_ms;
    wire::RecordBatchBuilder builder;
    if (producer_id_ >= 0) builder.from(producer_id_, producer_epoch_, lane.next_sequence);
    lane.in_batch = 0;
    for (const InputLine& line : lane.waiting) {
        if (lane.in_batch > 0 && builder.size() + line.size() > batch_bytes_max_) break;
        builder.add(line.record.key, line.record.value, line.record.timestamp.value_or(now),
                    line.record.headers);
        ++lane.in_batch;
    }
    auto parsed = wire::RecordBatch::parse(builder.build());
    lane.batch = compressed(std::get<wire::RecordBatch>(parsed), compression_);
}

std::map<Address, ProduceRequest> Producer::requests() {
    std::map<Address, ProduceRequest> all;
    for (auto& [partition, lane] : lanes_) {
        if (lane.waiting.empty()) continue;
        const auto leader = client_.map().leader_of({topic_, partition});
        if (!leader) continue;
        if (!lane.batch) make_batch(lane);
        ProduceRequest& request = all[*leader];
        request.acks = acks_;
        request.timeout_ms = produce_patience_ms;
        if (request.topics.empty()) request.topics.push_back({topic_, {}});
        request.topics.front().partitions.push_back({partition, lane.batch});
    }
    return all;
}

void Producer::settle(Lane& lane, std::int64_t offset) {
    for (; lane.in_batch > 0; --lane.in_batch) {
        waiting_bytes_ -= lane.waiting.front().size();
        lane.waiting.pop_front();
        ++lane.written;
        ++written_;
        lane.next_sequence = lane.next_sequence == 0x7fffffff ? 0 : lane.next_sequence + 1;
    }
    if (offset >= 0 && lane.first < 0) lane.first = offset;
    lane.batch.reset();
    lane.refused = ErrorCode::none;
}

std::optional<Trouble> Producer::take(const ProduceResponse::Partition& told) {
    const auto found = lanes_.find(told.index);
    if (found == lanes_.end() || !found->second.batch) return Trouble{topic_ + ": strange answer"};
    Lane& lane = found->second;
    const std::size_t count = lane.in_batch;
    switch (told.error) {
    case ErrorCode::none:
        settle(lane, told.base_offset);
        if (told.base_offset >= 0) lane.end = told.base_offset + static_cast<std::int64_t>(count);
        return {};
    case ErrorCode::duplicate_sequence_number: settle(lane, -1); return {}; // It has it.
    case ErrorCode::message_too_large:
        if (count == 1) break;
        batch_bytes_max_ = std::max<std::size_t>(lane.batch->size() / 2, 1);
        lane.batch.reset();
        return {};
    default:
        if (!will_pass(told.error)) break;
        lane.refused = told.error;
        return {};
    }
    const InputLine& line = lane.waiting.front();
    std::string where =
        to_string(PartitionName{topic_, told.index}) + ": line " + std::to_string(line.number);
    if (count > 1) where += " to " + std::to_string(lane.waiting[count - 1].number);
    return refusal(where, told.error, told.error_message);
}

std::optional<Trouble> Producer::take(const ProduceResponse& response) {
    for (const auto& topic : response.topics)
        for (const auto& partition : topic.partitions)
            if (auto trouble = take(partition)) return trouble;
    return {};
}

Trouble Producer::out_of_patience() const {
    for (const auto& [partition, lane] : lanes_) {
        if (lane.waiting.empty()) continue;
        const std::string name = to_string(PartitionName{topic_, partition});
        if (!client_.map().leader_of({topic_, partition}))
            return {name + ": has no leader: see `pyralog cluster status`"};
        if (lane.refused == ErrorCode::kafka_storage_error)
            return {name + ": its leader takes no records, perhaps because its disk is full: see "
                           "`pyralog status` there"};
        if (lane.refused != ErrorCode::none) return refusal(name, lane.refused);
    }
    return {topic_ + ": no answer from the leaders: see `pyralog cluster status`"};
}

std::optional<Trouble> Producer::flush() {
    Environment& env = client_.env();
    Time progressed = env.clock.now();
    while (!is_empty()) {
        const std::size_t before = waiting_bytes_, largest_before = batch_bytes_max_;
        for (const auto& [leader, request] : requests()) {
            if (acks_ == 0) {
                const auto frame = encode_request(request, produce_version, 1, "pyralog");
                if (!client_.tell(leader, frame).ok()) continue;
                for (const auto& partition : request.topics.front().partitions)
                    settle(lanes_.at(partition.index), -1);
                continue;
            }
            const auto told = client_.call(leader, request, produce_version);
            if (!told.ok()) continue; // Nobody knows; it is sent again.
            if (auto trouble = take(told.value())) return trouble;
        }
        if (waiting_bytes_ < before || batch_bytes_max_ < largest_before) {
            progressed = env.clock.now();
            continue;
        }
        if (env.clock.now() > progressed + produce_patience) return out_of_patience();
        if (!env.fibers.sleep_until(env.clock.now() + produce_pause).ok())
            return Trouble{topic_ + ": interrupted"};
        const std::vector<std::string> topics{topic_};
        (void)client_.learn(&topics); // Who knows nothing new asks again.
    }
    turn_ = (turn_ + 1) % static_cast<std::int32_t>(lanes_.size());
    return {};
}

// A stream is closed at once, with what was not delivered; an answer says that it was.
void Producer::part() {
    if (acks_ != 0) return;
    MetadataRequest request;
    request.topics.emplace();
    for (const auto& [id, broker] : client_.map().brokers)
        (void)client_.call(broker, request,
                           Client::metadata_version); // Only that it comes matters.
}

Json Producer::summary() const {
    Json partitions = Json::array();
    for (const auto& [partition, lane] : lanes_) {
        if (lane.written == 0) continue;
        partitions.push_back({{"partition", partition},
                              {"records", lane.written},
                              {"first", lane.first < 0 ? Json() : Json(lane.first)},
                              {"end", lane.end < 0 ? Json() : Json(lane.end)}});
    }
    return {{"topic", topic_}, {"records", written_}, {"partitions", std::move(partitions)}};
}

// ---- Reading ----

struct Input {
    int file = STDIN_FILENO;
    std::uint64_t bytes = 0; // 0: nobody knows.
    ~Input() {
        if (file > STDERR_FILENO) ::close(file);
    }
};

// What is wrong, if anything.
std::string open_input(const CommandLine& line, Input& input) {
    if (!line.file) return {};
    input.file = ::open(line.file->c_str(), O_RDONLY | O_CLOEXEC);
    if (input.file < 0) return *line.file + ": cannot be read: " + std::strerror(errno);
    struct stat facts{};
    if (::fstat(input.file, &facts) == 0 && S_ISREG(facts.st_mode))
        input.bytes = static_cast<std::uint64_t>(facts.st_size);
    return {};
}

std::variant<NewRecord, std::string> record_of_line(std::string text, const CommandLine& line) {
    if (line.as_records) return record_of_json(text);
    KeyValue split = split_line(std::move(text), line.key_separator);
    NewRecord record;
    record.key = std::move(split.key);
    if (!line.empty_is_null || !split.value.empty()) record.value = std::move(split.value);
    return record;
}

std::optional<Trouble> pump(Client& client, Producer& producer, const CommandLine& line,
                            LineReader& reader, Progress& progress) {
    Environment& env = client.env();
    for (;;) {
        if (auto text = reader.next()) {
            auto record = record_of_line(std::move(*text), line);
            if (const auto* wrong = std::get_if<std::string>(&record))
                return Trouble{"line " + std::to_string(reader.line_number()) + ": " + *wrong};
            if (auto trouble = producer.add(reader.line_number(), std::get<0>(std::move(record))))
                return trouble;
            if (!producer.is_full()) continue;
        }
        const bool is_full = producer.is_full(), is_over = reader.ended();
        if (is_full || is_over || (!producer.is_empty() && !reader.ready()))
            if (auto trouble = producer.flush()) return trouble;
        if (is_over) return {};
        progress.at(reader.bytes_read(), env.clock.now());
        if (is_full) continue;
        if (!reader.ready()) {
            if (!env.fibers.sleep_until(env.clock.now() + idle_pause).ok()) return {};
            continue;
        }
        if (const Result<> read = reader.read(); !read.ok())
            return Trouble{"line " + std::to_string(reader.line_number() + 1) +
                           (read.error() == Error::out_of_space
                                ? ": is longer than a record may be"
                                : ": cannot be read: " + std::string(std::strerror(errno)))};
    }
}

int produce(Client& client, const CommandLine& line, std::int16_t acks,
            wire::Compression compression, Input& input) {
    Producer producer(client, line, acks, compression);
    std::optional<Trouble> trouble = producer.begin();
    if (!trouble) {
        Progress progress(line.names.front(), input.bytes,
                          input.bytes > 0 && Progress::wanted(false));
        LineReader reader(input.file);
        trouble = pump(client, producer, line, reader, progress);
        producer.part();
    }
    if (trouble) {
        if (producer.written() > 0)
            trouble->what += "; " + std::to_string(producer.written()) + " records are written";
        return tell(*trouble);
    }
    const Json summary = producer.summary();
    if (line.as_json)
        std::printf("%s\n", summary.dump().c_str());
    else
        std::printf("wrote %s records to %s\n", summary["records"].dump().c_str(),
                    line.names.front().c_str());
    return 0;
}

std::optional<std::int16_t> parse_acks(std::string_view text) {
    if (text == "all" || text == "-1") return std::int16_t{-1};
    if (text == "1") return std::int16_t{1};
    if (text == "0") return std::int16_t{0};
    return {};
}

} // namespace

int produce_records(const CommandLine& line, const Program& program) {
    const auto acks = parse_acks(line.acks);
    const auto compression = parse_compression(line.compression);
    if (!acks) complain("--acks must be all, 1 or 0, not \"" + line.acks + '"');
    if (!compression)
        complain("--compression must be none, gzip, snappy, lz4 or zstd, not \"" +
                 line.compression + '"');
    const bool is_empty = line.key_separator && line.key_separator->empty();
    if (is_empty) complain("--key-separator must be one character or more");
    const bool is_both = line.as_records && (line.key_separator || line.empty_is_null);
    if (is_both) complain("--records says by itself what is key and value: nothing else may");
    if (!acks || !compression || is_empty || is_both) return exit_mistake;
    Input input;
    if (const std::string wrong = open_input(line, input); !wrong.empty()) {
        complain(wrong);
        return exit_failed;
    }
    return with_client(line, program, {}, [&](Client& client) {
        return produce(client, line, *acks, *compression, input);
    });
}

} // namespace pyralog::cli
