#include "sim-tests/swarm.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

constexpr std::uint16_t kafka_port = 9092;
constexpr std::uint16_t peer_port = 9192;

// Evenly over orders of magnitude: as often from 1 to 2 as from 1000 to 2000.
std::int64_t scaled(Random& random, std::int64_t low, std::int64_t high) {
    CHECK(low > 0 && low <= high);
    std::int64_t doublings = 0;
    while (low << (doublings + 1) <= high) ++doublings;
    const std::int64_t base = low << random.between(0, doublings);
    return random.between(base, std::min(high, 2 * base));
}
Duration scaled(Random& random, Duration low, Duration high) {
    return Duration(scaled(random, low.count(), high.count()));
}
sim::Chance scaled_chance(Random& random, std::int64_t low, std::int64_t high) {
    return {static_cast<std::uint32_t>(scaled(random, low, high))};
}

// ---- Settings ----

// Most settings are drawn from within their bounds by their own description. These are not: some
// say who a node is, and some have bounds so wide that a run would be over before they matter.
constexpr std::array kept_settings{
    "node.id",
    "node.data_dir",
    "node.log_level",
    "cluster.name",
    "cluster.members",
    "cluster.listen",
    "kafka.host",
    "kafka.port",
    "kafka.advertise",
    "admin.host",
    "admin.port",
    "journal.bulk_min_bytes", // Drawn by draw_bulk(), from a stream of its own.
    "topic.replication_factor",
    "topic.partitions_max",
    "log.segment_age",
    "topic.retention_time",
    "topic.retention_bytes",
    "topic.producer_expiration",
    "raft.producers_max",
    "raft.producers_snapshot_bytes",
    "raft.aborted_max",
    "transaction.partitions",
    "transaction.ids_max",
    "transaction.partitions_max",
    "transaction.timeout_max",
    "transaction.id_expiration",
    "group.offsets_partitions",
    "group.groups_max",
    "group.members_max",
    "group.bytes_max",
    "group.offset_metadata_bytes_max",
    "group.initial_rebalance_delay",
    "group.session_timeout_min",
    "group.session_timeout_max",
    "group.offsets_retention",
    "group.offsets_retention_interval",
};

void set(std::vector<Setting>& settings, std::string_view name, const std::string& value) {
    Setting* setting = find_setting(settings, name);
    CHECK(setting != nullptr);
    CHECK(setting->set(value).empty());
}
void set(std::vector<Setting>& settings, std::string_view name, std::int64_t value) {
    set(settings, name, std::to_string(value));
}
void set(std::vector<Setting>& settings, std::string_view name, Duration value) {
    set(settings, name, std::to_string(value / 1ms) + "ms");
}
void set_size(std::vector<Setting>& settings, std::string_view name, std::int64_t bytes) {
    set(settings, name, std::to_string(bytes));
}

void draw_raft(std::vector<Setting>& settings, Random& random) {
    const Duration election = scaled(random, 150ms, 1500ms);
    set(settings, "raft.election_timeout", election);
    set(settings, "raft.heartbeat_interval", random.between(election / 10, election / 4));
    set_size(settings, "raft.append_bytes_max", scaled(random, 1024, 1 << 20));
    set(settings, "raft.append_entries_max", often(random, 25) ? 1 : scaled(random, 1, 64));
    set(settings, "raft.uncommitted_entries_max", scaled(random, 8, 4096));
    set(settings, "raft.pre_vote", often(random, 85) ? "true" : "false");
}

// Small files, so that they roll, are used again, and are read back.
void draw_log(std::vector<Setting>& settings, Random& random) {
    const std::int64_t file = scaled(random, 64 << 10, 512 << 10);
    set_size(settings, "journal.file_bytes", file);
    set_size(settings, "journal.journal_bytes_max", file * random.between(8, 32));
    set_size(settings, "journal.round_bytes_max", scaled(random, 4096, 1 << 20));
    set(settings, "journal.seal_delay", scaled(random, 1ms, 200ms));
    set_size(settings, "log.segment_bytes", scaled(random, 64 << 10, 512 << 10));
    set(settings, "log.open_segments_max", scaled(random, 1, 64));
    if (often(random, 40)) set(settings, "log.segment_age", scaled(random, 100ms, 20s));
    set_size(settings, "log.segment_flush_bytes", scaled(random, 4096, 64 << 10));
    set_size(settings, "log.cache_bytes", often(random, 20) ? 0 : scaled(random, 4096, 1 << 20));
    set_size(settings, "log.node_cache_bytes",
             often(random, 20) ? 0 : scaled(random, 16 << 10, 4 << 20));
    set_size(settings, "log.read_ahead_bytes", scaled(random, 4096, 1 << 20));
    set_size(settings, "log.node_read_ahead_bytes",
             often(random, 20) ? 0 : scaled(random, 16 << 10, 4 << 20));
}

// Half of all runs write past the journal, some of these whatever they can.
void draw_bulk(std::vector<Setting>& settings, Random random) {
    if (often(random, 50)) return set_size(settings, "journal.bulk_min_bytes", 0);
    const bool is_all = often(random, 30);
    set_size(settings, "journal.bulk_min_bytes", is_all ? 1 : scaled(random, 64, 32 << 10));
}

void draw_peers(std::vector<Setting>& settings, Random& random) {
    const Duration keepalive = scaled(random, 50ms, 1s);
    set(settings, "peer.keepalive_interval", keepalive);
    set(settings, "peer.silence_max", std::max<Duration>(200ms, keepalive * random.between(4, 8)));
    set(settings, "peer.connect_timeout", scaled(random, 300ms, 2s));
    set(settings, "peer.reconnect_delay_max", scaled(random, 10ms, 1s));
}

// Members say soon that they are there, and nothing expires: what does is looked for all the time.
void draw_groups(std::vector<Setting>& settings, Random random) {
    set(settings, "group.offsets_partitions", random.between(1, 3));
    set(settings, "group.members_max", random.between(3, 12));
    set(settings, "group.initial_rebalance_delay",
        often(random, 50) ? Duration{0} : scaled(random, 10ms, 500ms));
    set(settings, "group.session_timeout_min", 100ms);
    set(settings, "group.offsets_retention_interval", scaled(random, 100ms, 5s));
}

// Of groups in whose offsets nobody believes.
void draw_forgetting(Plan& plan, Random random) {
    std::vector<Setting> settings = settings_of(plan.config);
    const bool are_believed =
        plan.workload.groups.all() > 0 || plan.workload.transform.instances > 0;
    if (!are_believed && often(random, 70))
        set(settings, "group.offsets_retention", scaled(random, 100ms, 10s));
}

// Where an idempotent producer is judged he is not forgotten, and mostly there is room for him.
void draw_producers(Plan& plan, Random random) {
    std::vector<Setting> settings = settings_of(plan.config);
    const std::int64_t most = often(random, 15) ? scaled(random, 1, 4) : 10'000;
    set(settings, "raft.producers_max", most);
    set_size(settings, "raft.producers_snapshot_bytes", scaled(random, 4 << 10, 1 << 20));
    const Duration expiration = scaled(random, 1s, 20s);
    const int judged =
        plan.workload.repeaters + plan.workload.transactors + plan.workload.transform.instances;
    set(settings, "topic.producer_expiration",
        judged > 0 ? Duration(std::chrono::days(3650)) : expiration);
}

void draw_config(server::Config& config, Random& random) {
    std::vector<Setting> settings = settings_of(config);
    for (Setting& setting : settings) {
        if (std::ranges::find(kept_settings, setting.name) != kept_settings.end()) continue;
        setting.randomise(random);
    }
    draw_raft(settings, random);
    draw_log(settings, random);
    draw_peers(settings, random);
    draw_groups(settings, random.fork("groups"));
    draw_bulk(settings, random.fork("bulk"));
    set(settings, "transaction.partitions", random.fork("transactions").between(1, 3));
    set_size(settings, "topic.message_bytes_max", scaled(random, 32 << 10, 1 << 20));
    set_size(settings, "kafka.request_bytes_max", scaled(random, 1 << 20, 8 << 20));
    set_size(settings, "kafka.requests_bytes_max", scaled(random, 64 << 10, 16 << 20));
    set_size(settings, "kafka.answers_bytes_max", scaled(random, 64 << 10, 16 << 20));
    set_size(settings, "disk.free_bytes_min",
             often(random, 50) ? 0 : scaled(random, 4096, 1 << 20));
    set_size(settings, "disk.reserve_bytes",
             often(random, 50) ? 0 : scaled(random, 4096, 64 << 10));
    set(settings, "kafka.stall_max", scaled(random, 1s, 30s));
    set(settings, "kafka.connections_max", random.between(30, 1000));
    set(settings, "topic.partitions", random.between(1, 3));
    set(settings, "topic.auto_create", "true");
    set(settings, "topic.retention_interval", scaled(random, 50ms, 5s));
    set(settings, "topic.compaction_interval", scaled(random, 50ms, 2s));
    set_size(settings, "topic.compaction_key_bytes_max", scaled(random, 4096, 64 << 10));
}

// Records are large, queues to peers and journals small: whoever was away is sent more at once than
// a queue holds, and a journal fills up.
void draw_crowd(Plan& plan, Random& random) {
    std::vector<Setting> settings = settings_of(plan.config);
    set_size(settings, "peer.queue_bytes_max", 256 << 10);
    set_size(settings, "raft.append_bytes_max", 1 << 20);
    set(settings, "raft.append_entries_max", 64);
    set(settings, "raft.appends_in_flight_max", random.between(1, 8));
    set(settings, "raft.uncommitted_entries_max", 4096);
    set_size(settings, "topic.message_bytes_max", 1 << 20);
    set_size(settings, "journal.file_bytes", 64 << 10);
    set_size(settings, "journal.journal_bytes_max", (64 << 10) * random.between(8, 16));
    plan.workload.producers = 3;
    plan.workload.value_bytes_max = 9000;
    plan.workload.records_max = 12;
}

// One disk decays all the time while it is read, deleted from and mended: what happens when these
// meet is too rare where each is drawn for itself.
void draw_decay(Plan& plan, Random& random) {
    std::vector<Setting> settings = settings_of(plan.config);
    set_size(settings, "log.cache_bytes", 0);
    set_size(settings, "log.node_cache_bytes", 0);
    set_size(settings, "log.segment_bytes", 64 << 10);
    set_size(settings, "log.segment_flush_bytes", 4096);
    set(settings, "log.open_segments_max", scaled(random, 1, 4));
    plan.classes[static_cast<std::size_t>(FaultClass::rot)] = true;
    plan.nemesis.rot = scaled(random, 50ms, 500ms);
    plan.nemesis.decays = true;
    plan.workload.consumers = 2;
    plan.workload.producers = 3;
    plan.workload.value_bytes_max = 4000;
    plan.workload.prunes_every = scaled(random, 100ms, 2s);
    for (TopicPlan& topic : plan.workload.topics) topic.pruned = true;
}

// Of all topics that do not say so themselves.
void draw_expiry(Plan& plan, Random& random) {
    std::vector<Setting> settings = settings_of(plan.config);
    if (often(random, 50))
        set(settings, "topic.retention_time", scaled(random, 500ms, 20s));
    else
        set_size(settings, "topic.retention_bytes", scaled(random, 64 << 10, 1 << 20));
    plan.workload.all_expire = true;
}

Duration election_timeout_of(server::Config config) {
    std::vector<Setting> settings = settings_of(config);
    const Setting* election = find_setting(settings, "raft.election_timeout");
    CHECK(election != nullptr);
    return *parse_duration(election->get());
}

// ---- Which faults ----

// Some runs have none, some a single one; in the others each is there or not.
void draw_classes(Plan& plan, Random& random) {
    const std::int64_t kind = random.between(1, 100);
    const std::uint64_t single = random.below(plan.classes.size());
    for (std::size_t i = 0; i < plan.classes.size(); ++i) {
        const bool on = random.chance(1, 2);
        plan.classes[i] = kind <= 5 ? false : kind <= 15 ? i == single : on;
    }
    bool& rot = plan.classes[static_cast<std::size_t>(FaultClass::rot)];
    plan.unlimited_damage = often(random, 20) && rot;
    // A minority is nobody in a cluster of one or two.
    if (plan.nodes >= 3) return;
    rot = plan.unlimited_damage;
    plan.classes[static_cast<std::size_t>(FaultClass::lost_disks)] = false;
}

Duration draw_length(Random& random) {
    if (often(random, 20)) return 5s;
    if (often(random, 25)) return 10s;
    return scaled(random, 8s, 60s);
}

// ---- Faults ----

void draw_network(Plan& plan, Random& random) {
    sim::Faults& faults = plan.faults;
    faults.link_time = {20us, scaled(random, 100us, 2ms), sim::never, 0us};
    if (plan.has(FaultClass::slow_links)) {
        faults.link_time.most = scaled(random, 1ms, 30ms);
        faults.link_time.tail_chance = scaled_chance(random, 100, 50'000);
        faults.link_time.tail = scaled(random, 30ms, 2s);
        faults.slow_link = {100'000};
        faults.slow_factor = static_cast<std::uint32_t>(random.between(2, 20));
        const auto weight = [&] { return static_cast<std::uint32_t>(random.between(0, 3)); };
        faults.spread_even = 1 + weight();
        faults.spread_exponential = weight();
        faults.spread_heavy_tail = weight();
        faults.spread_step = weight();
        faults.step_within = plan.length;
        if (often(random, 30)) {
            const auto rate = [&] {
                return static_cast<std::uint64_t>(scaled(random, 256 << 10, 64 << 20));
            };
            faults.link_bytes_per_second = rate();
            faults.link_bytes_per_second_most = rate();
        }
    }
    if (plan.has(FaultClass::pieces)) {
        faults.split_write = scaled_chance(random, 10'000, 400'000);
        faults.short_read = scaled_chance(random, 10'000, 400'000);
        faults.window_least = static_cast<std::size_t>(scaled(random, 500, 64'000));
        faults.window_most = faults.window_least * 4;
        faults.zero_window = scaled_chance(random, 1'000, 100'000);
        faults.zero_window_time.most = scaled(random, 2ms, 2s);
    }
    if (plan.has(FaultClass::broken_streams)) {
        faults.reset = scaled_chance(random, 10, 10'000);
        faults.vanish = scaled_chance(random, 10, 5'000);
        faults.close_resets = {300'000};
        faults.lossy_link = {100'000};
        faults.lossy_reset = scaled_chance(random, 1'000, 100'000);
        faults.slow_connect = scaled_chance(random, 1'000, 300'000);
        faults.backlog_most = static_cast<std::size_t>(scaled(random, 1, 128));
        faults.linger = scaled_chance(random, 10'000, 500'000);
        faults.linger_time.most = scaled(random, 2ms, 2s);
        faults.refuse = scaled_chance(random, 1'000, 200'000);
        faults.black_hole = scaled_chance(random, 1'000, 100'000);
    }
    if (plan.has(FaultClass::corruption)) faults.corrupt = scaled_chance(random, 10, 5'000);
    faults.corrupt_nodes_end = first_client.value;
    faults.blocked_gives_up = {often(random, 50) ? 300'000u : 0u};
    faults.give_up_time = {200ms, 5s, sim::never, 0us};
}

void draw_disk(Plan& plan, Random& random) {
    sim::Faults& faults = plan.faults;
    faults.sync_time = {20us, scaled(random, 50us, 5ms), sim::never, 0us};
    if (plan.has(FaultClass::slow_disks)) {
        faults.slow_disk = scaled_chance(random, 1'000, 100'000);
        faults.slow_disk_time = {1ms, scaled(random, 5ms, 500ms), sim::never, 0us};
    }
    if (plan.has(FaultClass::disk_errors)) {
        faults.read_error = scaled_chance(random, 1, 500);
        faults.write_error = scaled_chance(random, 1, 500);
        faults.sync_error = scaled_chance(random, 1, 1'000);
        faults.commit_error = scaled_chance(random, 100, 20'000);
        faults.size_error = scaled_chance(random, 10, 5'000);
        faults.name_error = scaled_chance(random, 10, 5'000);
        faults.no_space = scaled_chance(random, 1, 500);
        const auto weight = [&] { return static_cast<std::uint32_t>(random.between(1, 4)); };
        faults.failed_sync_keeps = weight();
        faults.failed_sync_marks_clean = weight();
        faults.failed_sync_reverts = weight();
        faults.failed_sync_drops_all = weight();
    }
    faults.unit_torn = static_cast<std::uint32_t>(random.between(0, 4));
    faults.unit_garbage = static_cast<std::uint32_t>(random.between(0, 4));
    // Of some disks nearly all arrives before the power is gone, and so there are holes.
    if (often(random, 50)) faults.unit_survives = static_cast<std::uint32_t>(scaled(random, 8, 64));
}

void draw_nemesis(Plan& plan, Random& random) {
    NemesisPlan& nemesis = plan.nemesis;
    const auto gap = [&](FaultClass fault_class, Duration low, Duration high) {
        const Duration drawn = scaled(random, low, high);
        return plan.has(fault_class) ? drawn : Duration{0};
    };
    nemesis.partitions = gap(FaultClass::partitions, 500ms, 6s);
    nemesis.stream_breaks = gap(FaultClass::broken_streams, 200ms, 6s);
    nemesis.kills = gap(FaultClass::kills, 800ms, 8s);
    nemesis.power_cuts = gap(FaultClass::power_cuts, 800ms, 8s);
    nemesis.blackouts = gap(FaultClass::blackouts, 2s, 15s);
    nemesis.rack_cuts = gap(FaultClass::rack_cuts, 1s, 10s);
    nemesis.restart_storms = gap(FaultClass::restart_storms, 2s, 10s);
    nemesis.rolling_restarts = gap(FaultClass::rolling_restarts, 2s, 10s);
    nemesis.racks = static_cast<int>(random.between(2, 3));
    if (plan.has(FaultClass::recovery_ends))
        nemesis.recovery_ends = scaled_chance(random, 100'000, 800'000);
    nemesis.pauses = gap(FaultClass::pauses, 500ms, 6s);
    nemesis.hung_disks = gap(FaultClass::slow_disks, 1s, 8s);
    nemesis.full_disks = gap(FaultClass::full_disks, 1s, 6s);
    nemesis.rot = gap(FaultClass::rot, often(random, 30) ? 200ms : 1s, 8s);
    nemesis.lost_disks = gap(FaultClass::lost_disks, 2s, 20s);
    nemesis.clock_jumps = gap(FaultClass::clocks, 500ms, 6s);
    nemesis.partition_most = scaled(random, 200ms, 6s);
    nemesis.election_timeout = election_timeout_of(plan.config);
    nemesis.pause_most = scaled(random, 50ms, 10 * nemesis.election_timeout);
    nemesis.down_most = scaled(random, 20ms, 4s);
    nemesis.disk_quota = static_cast<std::uint64_t>(scaled(random, 128 << 10, 4 << 20));
    const auto size = static_cast<std::uint64_t>(scaled(random, 2 << 20, 32 << 20));
    if (plan.has(FaultClass::full_disks) && often(random, 40)) nemesis.disk_size = size;
}

sim::Schedule draw_schedule(Random& random) {
    const std::uint64_t percent = random.below(100);
    if (percent < 20) return sim::Schedule::in_order;
    if (percent < 70) return sim::Schedule::random;
    if (percent < 80) return sim::Schedule::priorities;
    return percent < 90 ? sim::Schedule::priorities_one_fall : sim::Schedule::priorities_two_falls;
}

void edit_workload(WorkloadPlan& plan, const PlanEdits& edits) {
    if (edits.topics && static_cast<std::size_t>(*edits.topics) < plan.topics.size())
        plan.topics.resize(static_cast<std::size_t>(*edits.topics));
    for (TopicPlan& topic : plan.topics)
        topic.partitions = std::min(topic.partitions, edits.partitions.value_or(topic.partitions));
    plan.producers = std::min(plan.producers, edits.producers.value_or(plan.producers));
    plan.repeaters = std::min(plan.repeaters, edits.producers.value_or(plan.repeaters));
    plan.transactors = std::min(plan.transactors, edits.producers.value_or(plan.transactors));
    plan.transform.instances =
        std::min(plan.transform.instances, edits.producers.value_or(plan.transform.instances));
    plan.consumers = std::min(plan.consumers, edits.consumers.value_or(plan.consumers));
    if (!edits.plain_clients) return;
    plan.vandal = plan.explorer = plan.groups.explored = false;
    plan.passing_topics = 0;
    for (TopicPlan& topic : plan.topics) {
        topic.pruned = false;
        topic.retention_ms = topic.retention_bytes = -1;
        topic.compacted = false;
    }
}

} // namespace

std::string_view to_string(FaultClass fault_class) {
    switch (fault_class) {
    case FaultClass::slow_links: return "slow-links";
    case FaultClass::pieces: return "pieces";
    case FaultClass::broken_streams: return "broken-streams";
    case FaultClass::corruption: return "corruption";
    case FaultClass::partitions: return "partitions";
    case FaultClass::kills: return "kills";
    case FaultClass::power_cuts: return "power-cuts";
    case FaultClass::blackouts: return "blackouts";
    case FaultClass::rack_cuts: return "rack-cuts";
    case FaultClass::recovery_ends: return "recovery-ends";
    case FaultClass::restart_storms: return "restart-storms";
    case FaultClass::rolling_restarts: return "rolling-restarts";
    case FaultClass::pauses: return "pauses";
    case FaultClass::slow_disks: return "slow-disks";
    case FaultClass::disk_errors: return "disk-errors";
    case FaultClass::full_disks: return "full-disks";
    case FaultClass::rot: return "rot";
    case FaultClass::lost_disks: return "lost-disks";
    case FaultClass::clocks: return "clocks";
    case FaultClass::slow_fibers: return "slow-fibers";
    case FaultClass::whims: return "whims";
    case FaultClass::count_: break;
    }
    check_failed("a known FaultClass", __FILE__, __LINE__);
}

Plan draw_plan(std::uint64_t seed, const PlanEdits& edits) {
    const Random root(seed);
    Plan plan;
    plan.seed = seed;
    Random shape = root.fork("swarm/shape");
    constexpr std::array sizes{3, 3, 3, 3, 3, 3, 5, 5, 5, 1, 2, 4, 6, 7};
    plan.nodes = sizes[shape.below(sizes.size())];
    plan.length = draw_length(shape);
    if (edits.nodes) plan.nodes = *edits.nodes;
    draw_classes(plan, shape);
    for (const FaultClass off : edits.without) plan.classes[static_cast<std::size_t>(off)] = false;
    if (!plan.has(FaultClass::rot)) plan.unlimited_damage = false;

    plan.faults.schedule = draw_schedule(shape);
    if (plan.has(FaultClass::slow_fibers)) plan.faults.run_cost = {1us, 30us, {2'000}, 20ms};
    if (plan.has(FaultClass::clocks)) {
        // Now and then so far off that no timeout means what it says.
        const std::int64_t most = often(shape, 35) ? 400'000 : 50'000;
        plan.faults.drift_ppm_most = static_cast<std::uint32_t>(scaled(shape, 100, most));
        plan.faults.monotonic_offset_most = 3600s;
        plan.faults.wall_offset_most = 3600s;
    }
    if (plan.has(FaultClass::whims)) {
        plan.faults.whim_is_active = {250'000};
        plan.faults.whim_fires = {250'000};
    }
    Random config = root.fork("swarm/config");
    if (!edits.plain_settings) draw_config(plan.config, config);
    Random network = root.fork("swarm/network");
    draw_network(plan, network);
    Random disk = root.fork("swarm/disk");
    draw_disk(plan, disk);
    Random nemesis = root.fork("swarm/nemesis");
    draw_nemesis(plan, nemesis);
    Random store = root.fork("swarm/store");
    plan.engine = often(store, 18);
    plan.workload = draw_workload(root.fork("swarm/workload"), plan.nodes);
    const bool may_rot = std::ranges::find(edits.without, FaultClass::rot) == edits.without.end();
    if (often(shape, 6) && plan.nodes >= 3 && may_rot && !edits.plain_settings)
        draw_decay(plan, shape);
    // A node whose disk is damaged is lost, so every partition must have copies to spare.
    const bool loses_disks = plan.has(FaultClass::rot) || plan.has(FaultClass::lost_disks);
    if (loses_disks && !plan.unlimited_damage) {
        for (TopicPlan& topic : plan.workload.topics) topic.replication = -1;
        if (plan.nodes == 5 && often(shape, 50)) plan.config.topic.replication_factor = 5;
    }
    if (often(shape, 10) && !edits.plain_settings) draw_expiry(plan, shape);
    // Many partitions make long runs, so they are rare.
    if (often(shape, 4))
        plan.workload.topics.front().partitions = static_cast<std::int32_t>(scaled(shape, 4, 64));
    if (often(shape, 6) && !edits.plain_settings) draw_crowd(plan, shape);
    if (!edits.plain_settings) draw_forgetting(plan, root.fork("swarm/forgetting"));
    if (!edits.plain_settings) draw_producers(plan, root.fork("swarm/producers"));
    edit_workload(plan.workload, edits);
    if (edits.length) plan.length = *edits.length;
    if (edits.engine) plan.engine = *edits.engine;
    return plan;
}

Address kafka_address_of(NodeId node) { return {"node" + std::to_string(node.value), kafka_port}; }
Address peer_address_of(NodeId node) { return {"node" + std::to_string(node.value), peer_port}; }

Duration election_timeout_of(const Plan& plan) {
    server::Config config = plan.config;
    std::vector<Setting> settings = settings_of(config);
    const Setting* election = find_setting(settings, "raft.election_timeout");
    CHECK(election != nullptr);
    return *parse_duration(election->get());
}

server::Config config_of(const Plan& plan, NodeId node) {
    server::Config config = plan.config;
    config.node_id = node.value;
    config.cluster_name = "sim";
    config.members.clear();
    if (plan.nodes > 1)
        for (int id = 1; id <= plan.nodes; ++id)
            config.members[NodeId(id)] = peer_address_of(NodeId(id));
    const Address address = kafka_address_of(node);
    config.kafka.host = address.host;
    config.kafka.port = address.port;
    CHECK(config.problems().empty());
    return config;
}

std::string to_string(const Plan& plan) {
    std::string text = "seed=" + std::to_string(plan.seed) +
                       " nodes=" + std::to_string(plan.nodes) +
                       " length_ms=" + std::to_string(plan.length / 1ms) +
                       " kv=" + (plan.engine ? "engine" : "model") + " faults=";
    bool first = true;
    for (std::size_t i = 0; i < plan.classes.size(); ++i) {
        if (!plan.classes[i]) continue;
        if (!first) text += ',';
        first = false;
        text += to_string(static_cast<FaultClass>(i));
    }
    if (plan.unlimited_damage) text += " unlimited-damage";
    return first ? text + "none" : text;
}

} // namespace pyralog::simtest
