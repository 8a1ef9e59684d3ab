#include "sim-tests/workload_client.h"

#include "core/wire/producers.h"
#include "core/wire/record_batch.h"
#include "sim-tests/explorer.h"

#include <algorithm>

namespace pyralog::simtest {

using kafka::ErrorCode;

namespace {

// Of values on all disks, if each node has all. Much of it is there twice: the journal has it too.
constexpr std::size_t stored_bytes_max = 24_MiB;

} // namespace

Outcome outcome_of(ErrorCode error) {
    switch (error) {
    case ErrorCode::none: return Outcome::stored;
    case ErrorCode::corrupt_message:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::message_too_large:
    case ErrorCode::invalid_topic:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::invalid_required_acks:
    case ErrorCode::unsupported_version:
    case ErrorCode::invalid_request:
    case ErrorCode::unsupported_for_message_format:
    case ErrorCode::unsupported_compression_type:
    case ErrorCode::invalid_record:
    case ErrorCode::not_leader_or_follower: return Outcome::refused;
    // Among them NOT_ENOUGH_REPLICAS_AFTER_APPEND: a deposed leader's successor may have it.
    default: return Outcome::unknown;
    }
}

Result<std::vector<Fetch::Seen>> seen_in(const std::optional<BytesChain>& records) {
    std::vector<Fetch::Seen> seen;
    if (!records) return seen;
    Bytes rest = joined(*records);
    while (!rest.empty()) {
        auto batch = wire::RecordBatch::take_first(rest);
        if (std::holds_alternative<wire::BatchFlaw>(batch)) break;
        const auto& whole = std::get<wire::RecordBatch>(batch);
        if (whole.header().compression() != wire::Compression::none) return Error::unavailable;
        if (const auto end = wire::end_of(whole)) {
            const std::int64_t offset = whole.first().value;
            seen.push_back({offset, marker_ident(end->producer, offset, end->commits)});
            continue;
        }
        wire::RecordReader reader(whole);
        while (const std::optional<wire::Record> record = TRY(reader.next())) {
            // One that deletes its key tells who it is beside.
            const auto& tells = record->value || record->headers.empty()
                                    ? record->value
                                    : record->headers.front().value;
            const auto ident = tells ? ident_of(tells->text()) : std::nullopt;
            seen.push_back({record->offset.value, ident.value_or(Ident())});
        }
    }
    return seen;
}

// As a client does it: from the first record of an aborted transaction on those of its producer are
// skipped, up to the marker.
Result<std::vector<Fetch::Seen>> counting_in(const kafka::FetchResponse::Partition& told) {
    std::vector<Fetch::Seen> counting;
    if (!told.records) return counting;
    auto aborted =
        told.aborted_transactions.value_or(std::vector<kafka::FetchResponse::AbortedTransaction>());
    Bytes rest = joined(*told.records);
    while (!rest.empty()) {
        auto batch = wire::RecordBatch::take_first(rest);
        if (std::holds_alternative<wire::BatchFlaw>(batch)) break;
        const auto& whole = std::get<wire::RecordBatch>(batch);
        const auto is_of = [&](const auto& one) {
            return one.producer_id == whole.header().producer_id &&
                   one.first_offset <= whole.first().value;
        };
        if (whole.header().is_control()) {
            std::erase_if(aborted, is_of);
            continue;
        }
        if (whole.header().is_transactional() && std::ranges::any_of(aborted, is_of)) continue;
        const auto seen = TRY(seen_in(BytesChain{whole.bytes()}));
        counting.insert(counting.end(), seen.begin(), seen.end());
    }
    return counting;
}

GroupsPlan draw_groups(Random random) {
    GroupsPlan plan;
    plan.session_timeout = Duration(1ms) * random.between(200, 4000);
    plan.rebalance_timeout = Duration(1ms) * random.between(200, 4000);
    const auto groups = static_cast<int>(random.between(1, 2));
    const auto members = static_cast<int>(random.between(1, 4));
    const auto statics = static_cast<int>(random.between(0, members));
    const auto alone = static_cast<int>(random.between(0, 2));
    plan.explored = often(random, 15);
    if (!often(random, 40)) return plan;
    plan.groups = groups;
    plan.members = members;
    if (often(random, 40)) plan.static_members = statics;
    plan.doubles = often(random, 30);
    plan.alone = alone;
    return plan;
}

std::optional<std::int64_t> end_of(const std::optional<BytesChain>& records) {
    std::optional<std::int64_t> end;
    Bytes rest = joined(records.value_or(BytesChain()));
    while (!rest.empty()) {
        const auto batch = wire::RecordBatch::take_first(rest);
        if (std::holds_alternative<wire::BatchFlaw>(batch)) break;
        end = std::get<wire::RecordBatch>(batch).end().value;
    }
    return end;
}

void draw_transform(WorkloadPlan& plan, Random random) {
    if (!often(random, 15)) return;
    TransformPlan& transform = plan.transform;
    transform.by_group = often(random, 50);
    transform.instances = static_cast<int>(random.between(transform.by_group ? 2 : 1, 3));
    transform.lanes = static_cast<int>(random.between(1, 2));
    transform.members.session_timeout = Duration(1ms) * random.between(300, 4000);
    transform.members.rebalance_timeout = Duration(1ms) * random.between(300, 4000);
    TopicPlan& topic = plan.topics.emplace_back();
    topic.name = derived_topic;
    topic.partitions = static_cast<std::int32_t>(random.between(1, 2));
}

WorkloadPlan draw_workload(Random random, int nodes) {
    WorkloadPlan plan;
    plan.groups = draw_groups(random.fork("groups"));
    const auto topics = random.between(1, 3);
    for (std::int64_t i = 0; i < topics; ++i) {
        TopicPlan& topic = plan.topics.emplace_back();
        topic.name = "topic-" + std::to_string(i);
        topic.partitions = static_cast<std::int32_t>(random.between(1, 3));
        topic.auto_created = i > 0 && often(random, 30);
        topic.deleted = i > 0 && !topic.auto_created && often(random, 30);
        if (often(random, 40))
            topic.replication = static_cast<std::int16_t>(random.between(1, std::min(nodes, 5)));
        // A partition on one node stands still while that node is down, and so shows little.
        if (topic.replication == 1 && nodes > 1 && !often(random, 25)) topic.replication = -1;
    }
    plan.producers = static_cast<int>(random.between(1, 3));
    plan.consumers = static_cast<int>(random.between(0, 2));
    plan.vandal = often(random, 30);
    plan.think_time = Duration(1ms) * random.between(1, 40);
    plan.patience = Duration(1ms) * random.between(200, 8000);
    plan.records_max = static_cast<std::int32_t>(random.between(1, 12));
    plan.value_bytes_max = often(random, 25) ? random.between(2000, 9000) : random.between(40, 600);
    plan.pipelined_percent = static_cast<std::uint32_t>(random.between(0, 60));
    plan.explorer = often(random, 40);
    plan.deletes_after = Duration(1ms) * random.between(500, 8000);
    plan.prober = often(random, 55);
    if (often(random, 30))
        for (TopicPlan& topic : plan.topics) topic.pruned = often(random, 60);
    plan.prunes_every = Duration(1ms) * random.between(200, 4000);
    for (TopicPlan& topic : plan.topics) {
        if (topic.auto_created || !often(random, 15)) continue;
        if (often(random, 50))
            topic.retention_ms = random.between(0, 10'000);
        else
            topic.retention_bytes = random.between(0, 300'000);
    }
    for (TopicPlan& topic : plan.topics) {
        if (topic.auto_created || !often(random, 35)) continue;
        topic.compacted = true;
        if (often(random, 70)) topic.delete_retention_ms = random.between(0, 3000);
        topic.segment_bytes = random.between(1 << 10, 32 << 10);
    }
    plan.sent_bytes_max = stored_bytes_max / static_cast<std::size_t>(nodes);
    if (often(random, 30)) plan.passing_topics = static_cast<int>(random.between(2, 8));
    Random repeaters = random.fork("repeaters");
    if (often(repeaters, 50)) plan.repeaters = static_cast<int>(repeaters.between(1, 2));
    Random transactors = random.fork("transactors");
    if (often(transactors, 40)) plan.transactors = static_cast<int>(transactors.between(1, 2));
    plan.rivals = often(transactors, 50);
    draw_transform(plan, random.fork("transformers"));
    return plan;
}

bool Workload::is_compacted(const std::string& topic) const {
    return std::ranges::any_of(plan_.topics, [&](const TopicPlan& planned) {
        return planned.name == topic && planned.compacted;
    });
}

std::size_t Workload::room_for(std::size_t size) {
    if (size > plan_.sent_bytes_max - sent_bytes_) return value_size_min;
    sent_bytes_ += size;
    return size;
}

bool Workload::deleting(const std::string& topic) const {
    return std::ranges::find(deleting_, topic) != deleting_.end();
}

bool Workload::stays(const std::string& topic) const {
    return !deleting(topic) && !topic.starts_with(passing_prefix);
}

std::vector<Workload::Program> Workload::programs() {
    for (const TopicPlan& topic : plan_.topics) {
        const bool as_all = plan_.all_expire && !topic.compacted;
        if (topic.expires() || as_all) history_.expires(topic.name);
        if (topic.compacted) history_.compacts(topic.name, topic.forgets());
    }
    if (plan_.all_expire) history_.expires(std::string(final_topic));
    std::vector<Program> programs;
    NodeId next = first_client;
    const auto add = [&](std::string_view what, std::function<void(Environment&)> main) {
        programs.push_back({next, what, std::move(main)});
        next = NodeId(next.value + 1);
    };
    add("admin", [this](Environment& env) { administer(env); });
    for (int i = 0; i < plan_.producers; ++i)
        add("producer", [this, self = next](Environment& env) { produce(env, self); });
    for (int i = 0; i < plan_.repeaters; ++i)
        add("repeater", [this, self = next](Environment& env) { repeat(env, self); });
    for (int i = 0; i < plan_.transactors; ++i)
        add("transactor", [this, self = next](Environment& env) { transact(env, self); });
    for (int i = 0; i < plan_.transform.instances; ++i)
        add("transformer", [this, self = next, i](Environment& env) { transform(env, self, i); });
    for (int i = 0; i < plan_.consumers; ++i)
        add("consumer", [this, self = next](Environment& env) { consume(env, self); });
    if (std::ranges::any_of(plan_.topics, &TopicPlan::pruned))
        add("pruner", [this, self = next](Environment& env) { prune(env, self); });
    for (int group = 0; group < plan_.groups.all(); ++group) {
        const int members = group < plan_.groups.groups ? plan_.groups.members : plan_.groups.alone;
        for (int i = 0; i < members; ++i)
            add("member", [this, group, i](Environment& env) { take_part(env, group, i); });
    }
    if (plan_.groups.explored)
        add("group explorer", [this](Environment& env) { explore_groups(env, bootstrap_); });
    if (plan_.explorer) {
        add("explorer", [this](Environment& env) { explore(env, bootstrap_); });
        add("admin explorer", [this](Environment& env) { explore_admin(env, bootstrap_); });
    }
    if (plan_.vandal) add("vandal", [this](Environment& env) { vandalise(env); });
    return programs;
}

} // namespace pyralog::simtest
