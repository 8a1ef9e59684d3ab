#include "raft/host.h"

#include "core/base/bug.h"
#include "core/base/buggify.h"
#include "core/base/crc32c.h"
#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

// A candidate may hear of a new group before its voters do. So many requests for votes are kept for
// them; of what is lost, the candidate's next election makes good.
constexpr std::size_t early_max = 1024;
// So many logs are opened at once when a node starts.
constexpr std::size_t opened_at_once = 32;
// Memory for so many effects that wait for the disk is kept.
constexpr std::size_t unsaved_kept_max = 1024;

std::vector<NodeId> nodes_of(const std::vector<Transport::Peer>& peers) {
    std::vector<NodeId> nodes;
    for (const Transport::Peer& peer : peers) nodes.push_back(peer.node);
    return nodes;
}

} // namespace

std::uint64_t Host::journal_identity(std::string_view cluster, NodeId node) {
    const std::string text = std::string(cluster) + '/' + std::to_string(node.value);
    const auto bytes = std::as_bytes(std::span(text));
    return std::uint64_t{crc32c(bytes)} << 32 | static_cast<std::uint32_t>(node.value);
}

Host::Host(Environment& env, Settings settings, wire::Hello self,
           std::vector<Transport::Peer> peers)
    : env_(env), settings_(settings), self_(self.node),
      identity_(journal_identity(self.cluster, self.node)), disks_(env, self_, nodes_of(peers)),
      read_ahead_(env, settings.log),
      budget_(env.metrics, settings.log.node_cache_bytes,
              static_cast<std::size_t>(settings.log.open_segments_max), &read_ahead_),
      journal_(std::make_unique<Journal>(env, "journal", settings.journal, identity_)),
      segment_writer_(std::make_unique<SegmentWriter>(env, *journal_, settings.log)),
      transport_(env, settings.transport, std::move(self), std::move(peers), &disks_),
      repair_(std::make_unique<Repair>(env, *this)), low_water_(env, *this), producers_(env, *this),
      unsaved_changed_(env.fibers), untold_changed_(env.fibers), deadlines_changed_(env.fibers),
      unused_(env.fibers),
      groups_gauge_(env.metrics, "pyralog_raft_groups", "Raft groups with a replica on this node."),
      elections_(env.metrics, "pyralog_elections_won_total",
                 "How often a replica of this node has become a leader."),
      abstaining_gauge_(
          env.metrics, "pyralog_raft_abstaining_groups",
          "Replicas here that have lost what they promised, and neither vote nor "
          "count until all others have answered and a leader has brought them level."),
      given_up_(env.metrics, "pyralog_disk_given_up_total",
                "How often this node has set its journal aside because it could not be trusted.") {
    Log::foretell(env.metrics);
    transport_.on_receive(
        [this](NodeId from, wire::PeerMessage message) { receive(from, std::move(message)); });
    transport_.on_connected([this](NodeId peer) { peer_connected(peer); });
}

Host::~Host() {
    for (auto& [id, group] : groups_) segment_writer_->remove(group->log());
}

// ---- Recovery, and groups that come and go ----

Result<> Host::open(const std::vector<Member>& groups, GroupId untold) {
    TRY(disks_.open());
    disks_.on_replaces([this] { lose_votes(); });
    // The last process has not come to its end.
    if (disks_.gives_up()) TRY(set_aside(groups));
    Result<> recovered = recover(groups, untold);
#ifdef PYRALOG_BUGS
    const Error error = recovered.ok() ? Error::cancelled : recovered.error();
    if ((error == Error::corrupt && BUG(M22)) || (error == Error::out_of_space && BUG(M38))) {
        TRY(begin_anew());
        recovered = recover(groups, untold);
    }
#endif
    if (recovered.ok() || recovered.error() != Error::corrupt || !may_give_up(groups))
        return recovered;
    TRY(give_up(groups));
    return recover(groups, untold);
}

// What a recovery that has failed left in memory.
void Host::forget_recovery() {
    groups_gauge_.add(-static_cast<std::int64_t>(groups_.size()));
    for (auto& [id, group] : groups_) segment_writer_->remove(group->log());
    groups_.clear();
    deadlines_.clear();
    deadline_of_.clear();
    segment_writer_.reset();
    journal_ = std::make_unique<Journal>(env_, "journal", settings_.journal, identity_);
    segment_writer_ = std::make_unique<SegmentWriter>(env_, *journal_, settings_.log);
}

#ifdef PYRALOG_BUGS
// As if this node had never been: what M22 and M38 do with what they cannot read.
Result<> Host::begin_anew() {
    forget_recovery();
    for (const GroupId group : TRY(Log::list(env_))) TRY(Log::remove(env_, group));
    for (const std::string& name : TRY(env_.disk.list("journal")))
        TRY(env_.disk.remove("journal/" + name));
    return disks_.note_journal_file(0); // Else the journal that is gone would be missed.
}
#endif

Result<> Host::recover(const std::vector<Member>& groups, GroupId untold) {
    std::map<GroupId, std::unique_ptr<Log>> logs;
    TRY(open_logs(groups, logs));
    if (disks_.replaces_another())
        for (const auto& [id, start] : TRY(disks_.starts()))
            if (const auto log = logs.find(id); log != logs.end())
                TRY(log->second->replay(wire::start_frame(id, start)));
    // Of what is kept of an old disk no journal tells that it was there: the first file has to.
    if (disks_.replaces_another() && disks_.journal_file() == 0)
        for (const auto& [id, log] : logs) journal_->release(id, log->segments_end());
    journal_->expect(disks_.journal_file(),
                     [this](std::uint64_t file) { return disks_.note_journal_file(file); });
    const Time began = env_.clock.now();
    std::uint64_t frames = 0;
    TRY(journal_->open([&](const wire::Frame& frame) -> Result<> {
        ++frames;
        const auto log = logs.find(frame.group);
        SOMETIMES(log == logs.end(), "host/journal-has-a-deleted-group");
        if (log == logs.end()) return {}; // Of a topic that has been deleted.
        return log->second->replay(frame);
    }));
    for (const Member& member : groups) {
        std::unique_ptr<Log>& log = logs[member.group];
        TRY(log->finish_replay());
        const wire::Vote vote = TRY(recovered_vote(*log));
        if (log->end() != log->committed() && BUG(M30)) log->cut(log->committed());
        groups_[member.group] = make_group(member, std::move(log), vote);
        Group& group = *groups_[member.group];
        if (!group.log().damages().empty()) group.log_is_damaged();
    }
    TRY(forget_others(untold));
    TRY(producers_.forget_others());
    env_.log.info("recovered", {{"groups", groups_.size()},
                                {"journal_frames", frames},
                                {"took", env_.clock.now() - began}});
    return {};
}

// What a node was told is durable before it makes a group, so a group that it was never told of is
// a promise that it does not remember: it may have voted there, and acknowledged.
Result<> Host::forget_others(GroupId untold) {
    const std::vector<GroupId> stored = TRY(Log::list(env_));
    std::set<GroupId> others(stored.begin(), stored.end());
    for (const GroupId group : journal_->groups()) others.insert(group);
    std::erase_if(others, [&](GroupId group) { return groups_.contains(group); });
    if (const auto first = others.lower_bound(untold); first != others.end()) {
        REACHABLE("host/disk-has-a-group-nobody-told-of");
        env_.log.error("the disk has a partition of which this node was never told: the store of "
                       "small facts has lost its last writes",
                       {{"group", *first}});
        return Error::corrupt;
    }
    for (const GroupId group : others) journal_->forget(group);
    for (const GroupId group : stored) {
        if (!others.contains(group)) continue;
        REACHABLE("host/disk-has-a-deleted-group");
        TRY(Log::remove(env_, group));
    }
    return {};
}

// Each waits for the disk several times, and disks answer many at once.
Result<> Host::open_logs(const std::vector<Member>& groups,
                         std::map<GroupId, std::unique_ptr<Log>>& logs) {
    Result<> failed;
    std::size_t next = 0;
    Scope scope(env_.fibers);
    for (std::size_t i = 0; i < std::min(opened_at_once, groups.size()); ++i)
        scope.spawn("open logs", [&] {
            while (next < groups.size() && failed.ok()) {
                const Member& member = groups[next++];
                auto log = Log::open(env_, *journal_, budget_, log_config(member), member.group);
                if (log.ok())
                    logs[member.group] = std::move(log).value();
                else if (failed.ok())
                    failed = log.error();
            }
        });
    scope.join();
    return failed;
}

LogConfig Host::log_config(const Member& member) const {
    LogConfig config = settings_.log;
    config.segment_bytes = member.segment_bytes.value_or(config.segment_bytes);
    config.segment_age = member.segment_age.value_or(config.segment_age);
    return config;
}

std::unique_ptr<Group> Host::make_group(const Member& member, std::unique_ptr<Log> log,
                                        wire::Vote vote) {
    segment_writer_->add(*log);
    auto group = std::make_unique<Group>(env_, *this, member.group, settings_.raft, std::move(log),
                                         vote, member.members);
    groups_gauge_.add(1);
    if (vote.is_unknown) group->lose_vote(env_.clock.now());
    deadline_changed(*group);
    return group;
}

Result<> Host::create(const Member& member, bool campaign) {
    if (groups_.contains(member.group)) return Error::already_exists;
    // On the disk that this one stands for there may have been one of that name.
    wire::Vote vote;
    vote.is_unknown = disks_.replaces_another();
    std::unique_ptr<Log> log =
        TRY(Log::open(env_, *journal_, budget_, log_config(member), member.group));
    TRY(log->finish_replay());
    CHECK(!groups_.contains(member.group));
    Group& group = *(groups_[member.group] = make_group(member, std::move(log), vote));
    if (campaign) group.campaign(env_.clock.now());
    for (auto& [from, message] : std::exchange(early_, {})) {
        SOMETIMES(message.group == member.group, "host/vote-asked-before-the-group-was-there");
        if (message.group == member.group)
            group.receive(from, std::move(message));
        else
            early_.emplace_back(from, std::move(message));
    }
    return {};
}

Result<> Host::remove(GroupId id) {
    const auto found = groups_.find(id);
    if (found == groups_.end()) return {};
    Group& group = *found->second;
    group.close();
    SOMETIMES(group.in_use(), "host/removed-a-group-in-use");
    TRY(unused_.wait([&] { return !group.in_use(); }));
    TRY(producers_.forget(id));
    segment_writer_->remove(group.log());
    if (const auto deadline = deadline_of_.find(id); deadline != deadline_of_.end()) {
        deadlines_.erase({deadline->second, id});
        deadline_of_.erase(deadline);
    }
    std::erase_if(unsaved_, [&](const Unsaved& u) { return u.group == id; });
    groups_.erase(id);
    leaders_elsewhere_.erase(id);
    abstaining_.erase(id);
    abstaining_gauge_.set(static_cast<std::int64_t>(abstaining_.size()));
    groups_gauge_.add(-1);
    // What it has queued is written first: a frame that came after would hold its file for ever.
    TRY(journal_->sync());
    journal_->forget(id);
    // Whoever starts again before they are gone finds files of a group that nobody has.
    if (BUGGIFY("host/removes-files-late", 1'000'000))
        TRY(env_.fibers.sleep_until(env_.clock.now() + 500ms));
    return Log::remove(env_, id);
}

GroupRef Host::find(GroupId id) {
    const auto found = groups_.find(id);
    if (found == groups_.end() || found->second->is_closing()) return {};
    return GroupRef(found->second.get());
}

void Host::released() { unused_.notify_all(); }

// ---- The fibers ----

Result<> Host::run(std::unique_ptr<Listener> listener) {
    Result<> ended;
    Scope scope(env_.fibers);
    running_ = &scope;
    const auto keep = [&](std::string_view name, auto body) {
        scope.spawn(name, [&scope, &ended, body] {
            const Result<> over = body();
            // The first to end says why; the others then end for being cancelled.
            if (ended.ok() && !over.ok()) ended = over;
            scope.cancel();
        });
    };
    keep("journal", [this] { return journal_->run(); });
    keep("segment writer", [this] { return segment_writer_->run(); });
    keep("read ahead", [this] { return read_ahead_.run(); });
    keep("saved", [this] { return sync_all(); });
    keep("deadlines", [this] { return keep_deadlines(); });
    keep("leaders", [this] { return tell_again(); });
    keep("disk watch", [this] { return watch_disk(); });
    keep("disks", [this] { return tell_of_abstention(); });
    keep("repair", [this] { return repair_->run(); });
    for (int i = 0; i < ProducerKeeper::at_once; ++i)
        keep("producers", [this] { return producers_.run(); });
    keep("scrub", [this] { return repair_->scrub(); });
    if (listener) keep("peers", [this, &listener] { return transport_.run(std::move(listener)); });
    scope.join();
    running_ = nullptr;
    return ended;
}

Result<> Host::sync_all() {
    for (;;) {
        TRY(unsaved_changed_.wait([this] { return !unsaved_.empty(); }));
        if (BUGGIFY("host/saves-late")) TRY(env_.fibers.sleep_until(env_.clock.now() + 2ms));
        saving_.swap(unsaved_);
        sync_began_ = env_.clock.now();
        if (!BUG(M17)) TRY(journal_->sync());
        sync_began_.reset();
        disk_answered_ = env_.clock.now();
        for (const Unsaved& done : saving_)
            if (const auto group = groups_.find(done.group); group == groups_.end())
                REACHABLE("host/saved-for-a-removed-group");
            else
                group->second->saved(done.effects);
        saving_.clear();
        // After a moment in which all groups had something to save this would be a lot.
        if (saving_.capacity() > unsaved_kept_max) saving_.shrink_to_fit();
    }
}

Result<> Host::keep_deadlines() {
    TRY(disks_.changed().wait([this] { return disks_.is_introduced(); }));
    for (;;) {
        const Time now = env_.clock.now();
        if (!deadlines_.empty() && deadlines_.begin()->first <= now) {
            Group& group = *groups_.at(deadlines_.begin()->second);
            tick(group, now);
            CHECK(group.consensus().deadline() > now); // So this ends.
            if (group.leads()) tick_other_leaders(now);
            continue;
        }
        // A replica that knows of no leader may stand at any time.
        if (!deadlines_.empty() && BUGGIFY("host/stands-early", 10'000))
            groups_.at(deadlines_.begin()->second)->campaign(now);
        if (deadlines_.empty()) {
            TRY(deadlines_changed_.wait([this] { return !deadlines_.empty(); }));
            continue;
        }
        const Time next = deadlines_.begin()->first;
        const Deadline until(env_.fibers, next);
        const Result<> earlier = deadlines_changed_.wait(
            [this, next] { return deadlines_.empty() || deadlines_.begin()->first < next; });
        if (!earlier.ok() && earlier.error() != Error::timed_out) return earlier.error();
    }
}

void Host::tick(Group& group, Time now) {
    const bool hangs = disk_hangs(now);
    const bool is_unfit = group.is_unfit(now);
    SOMETIMES(hangs && group.leads(), "host/leader-gives-way-for-its-disk");
    SOMETIMES(is_unfit && group.leads(), "host/leader-gives-way-for-its-log");
    if (hangs || is_unfit)
        group.give_way(now);
    else
        group.tick(now);
}

// Their heartbeats share packets with those that have just been queued. Without this each group
// that is led here has a rhythm of its own, and a thousand idle groups are a thousand packets to
// each peer and as many back, where one would do.
void Host::tick_other_leaders(Time now) {
    std::vector<GroupId> almost_due;
    for (const auto& [due, group] : deadlines_) {
        if (due > now + settings_.raft.heartbeat_slack()) break;
        if (groups_.at(group)->leads()) almost_due.push_back(group);
    }
    for (const GroupId id : almost_due)
        if (const auto group = groups_.find(id); group != groups_.end()) tick(*group->second, now);
}

// A disk that is merely slow is no reason: others may be as slow, and nobody would lead.
bool Host::disk_hangs(Time now) const {
    const auto hangs = [&](const std::optional<Time>& began) {
        return began && now >= *began + 2 * settings_.raft.election_timeout;
    };
    SOMETIMES(!hangs(sync_began_) && hangs(ask_began_), "host/idle-disk-hangs");
    return hangs(sync_began_) || hangs(ask_began_);
}

// Syncs tell as much, so who has just synced does not ask.
Result<> Host::watch_disk() {
    const Duration interval = 2 * settings_.raft.election_timeout;
    for (;;) {
        TRY(env_.fibers.sleep_until(env_.clock.now() + interval));
        if (sync_began_ || env_.clock.now() < disk_answered_ + interval || !leads_any()) continue;
        ask_began_ = env_.clock.now();
        journal_->ask_device();
        ask_began_.reset();
        disk_answered_ = env_.clock.now();
    }
}

bool Host::leads_any() const {
    return std::ranges::any_of(groups_, [](const auto& group) { return group.second->leads(); });
}

// ---- From groups ----

void Host::when_durable(Group& group, Effects effects) {
    unsaved_.push_back({group.id(), std::move(effects)});
    unsaved_changed_.notify_all();
}

void Host::deadline_changed(Group& group) {
    const Time now_due = group.consensus().deadline();
    const auto [entry, is_new] = deadline_of_.try_emplace(group.id(), now_due);
    if (!is_new) {
        if (entry->second == now_due) return;
        deadlines_.erase({entry->second, group.id()});
        entry->second = now_due;
    }
    const bool first = deadlines_.empty() || now_due < deadlines_.begin()->first;
    deadlines_.emplace(now_due, group.id());
    if (first) deadlines_changed_.notify_all();
}

void Host::leader_changed(Group& group) {
    if (group.leads()) elections_.add();
    if (group.leads()) {
        for (const auto& [node, address] : transport_.kafka_addresses())
            tell_that_it_leads(node, group);
    }
    env_.log.debug("leader changed", {{"group", group.id()},
                                      {"term", group.term()},
                                      {"leader", group.leader().value_or(NodeId(0))}});
    if (leader_changed_) leader_changed_(group.id());
}

void Host::abstention_changed(Group& group) {
    if (group.consensus().abstains())
        abstaining_.insert(group.id());
    else
        abstaining_.erase(group.id());
    abstaining_gauge_.set(static_cast<std::int64_t>(abstaining_.size()));
}

bool Host::is_backlogged() const { return journal_->backlogged(); }
bool Host::is_full() const { return journal_->full(); }

std::optional<Time> Host::disk_hangs_since() const {
    if (!disk_hangs(env_.clock.now())) return {};
    return std::min(sync_began_.value_or(Time::max()), ask_began_.value_or(Time::max()));
}

// ---- From peers ----

void Host::ask_to_hand_over(GroupId group, NodeId to) {
    const auto leader = leader_of(group);
    if (!leader || *leader == to) return;
    if (*leader != self_)
        transport_.send(*leader, {group, wire::HandOver{to}, {}});
    else if (const GroupRef here = find(group))
        here->hand_over(to);
}

void Host::receive(NodeId from, wire::PeerMessage message) {
    if (const auto* leads = std::get_if<wire::Leadership>(&message.body)) {
        Leader& known = leaders_elsewhere_[message.group];
        SOMETIMES(leads->term < known.term, "host/heard-of-an-old-leader");
        if (leads->term < known.term) return;
        known.term = leads->term;
        known.node = from;
        if (leader_changed_) leader_changed_(message.group);
        return;
    }
    if (std::holds_alternative<wire::Forward>(message.body) ||
        std::holds_alternative<wire::ForwardReply>(message.body)) {
        const auto other = others_.find(message.group);
        if (other != others_.end() && other->second) other->second(from, std::move(message));
        return;
    }
    if (std::holds_alternative<wire::FramesRequest>(message.body) ||
        std::holds_alternative<wire::FramesReply>(message.body)) {
        repair_->receive(from, std::move(message));
        return;
    }
    if (std::holds_alternative<wire::CompactedRequest>(message.body) ||
        std::holds_alternative<wire::CompactedReply>(message.body)) {
        low_water_.receive(from, message);
        return;
    }
    // Until the others know its disk, nobody could tell this node from the next one of its name.
    SOMETIMES(!disks_.is_introduced(), "host/asked-before-it-may-speak");
    if (!disks_.is_introduced()) return;
    const auto group = groups_.find(message.group);
    if (group != groups_.end()) {
        if (!group->second->is_closing()) group->second->receive(from, std::move(message));
        return;
    }
    if (!std::holds_alternative<wire::VoteRequest>(message.body)) {
        REACHABLE("host/message-for-no-group");
        return;
    }
    if (BUGGIFY("host/keeps-no-early-vote")) return;
    if (early_.size() == early_max) early_.pop_front();
    early_.emplace_back(from, std::move(message));
}

#ifdef PYRALOG_BUGS
// What N01 does, as who keeps a set of pointers: in the order of their addresses. True if it did.
bool Host::tells_in_any_order(NodeId peer) {
    std::set<const Group*> leading;
    for (const auto& [id, group] : groups_)
        if (group->leads()) leading.insert(group.get());
    if (leading.size() < 2 || !BUG(N01)) return false;
    for (const Group* const group : leading)
        transport_.send(peer, {group->id(), wire::Leadership{group->term(), true}, {}});
    return true;
}
#endif

void Host::peer_connected(NodeId peer) {
#ifdef PYRALOG_BUGS
    if (tells_in_any_order(peer)) return;
#endif
    for (const auto& [id, group] : groups_)
        if (group->leads()) tell_that_it_leads(peer, *group);
}

// A node without a stream is told when it has one. One that has, and no room in its queue, would
// look for the leader where it was before, for ever: it is told again.
void Host::tell_that_it_leads(NodeId node, const Group& group) {
    const bool told = transport_.send(node, {group.id(), wire::Leadership{group.term(), true}, {}});
    if (told || !transport_.connected(node)) return;
    REACHABLE("host/no-room-to-say-who-leads");
    untold_.emplace(node, group.id());
    untold_changed_.notify_all();
}

Result<> Host::tell_again() {
    for (;;) {
        TRY(untold_changed_.wait([this] { return !untold_.empty(); }));
        TRY(env_.fibers.sleep_until(env_.clock.now() + settings_.raft.heartbeat_interval));
        for (const auto& [node, id] : std::exchange(untold_, {}))
            if (const auto group = groups_.find(id); group != groups_.end())
                if (group->second->leads()) tell_that_it_leads(node, *group->second);
    }
}

std::optional<NodeId> Host::leader_of(GroupId id) const {
    if (const auto group = groups_.find(id); group != groups_.end()) return group->second->leader();
    const auto known = leaders_elsewhere_.find(id);
    if (known == leaders_elsewhere_.end()) return {};
    return known->second.node;
}

Term Host::term_of(GroupId id) const {
    if (const auto group = groups_.find(id); group != groups_.end()) return group->second->term();
    const auto known = leaders_elsewhere_.find(id);
    return known == leaders_elsewhere_.end() ? Term() : known->second.term;
}

} // namespace pyralog::raft
