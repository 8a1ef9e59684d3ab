#include "raft/repair.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"
#include "raft/host.h"

#include <algorithm>

namespace pyralog::raft {

namespace {

constexpr std::size_t groups_max = 4;   // That are mended at a time,
constexpr std::size_t serving_max = 16; // and requests that are answered.
constexpr std::size_t frames_bytes_max = 1_MiB;
constexpr Duration repair_patience = 1s;
constexpr Duration repair_pause = 1s;
constexpr std::size_t scrub_piece = 256_KiB;
constexpr Duration scrub_pause = 64ms; // After each: 4 MiB/s.

} // namespace

Repair::Repair(Environment& env, Host& host)
    : env_(env), host_(host), changed_(env.fibers), answered_(env.fibers),
      asked_total_(env.metrics, "pyralog_repair_requests_total",
                   "Requests to other replicas for entries that are damaged here."),
      served_total_(env.metrics, "pyralog_repair_answers_total",
                    "Entries that were sent to replicas that had lost them."),
      in_vain_total_(env.metrics, "pyralog_repair_in_vain_total",
                     "Rounds in which no other replica had anything of what is damaged."),
      scrubbed_total_(env.metrics, "pyralog_scrub_reads_total",
                      "Pieces of segments, 256 KiB at most, that were read to see if they are "
                      "whole."),
      scrubs_total_(env.metrics, "pyralog_scrubs_total",
                    "How often all segments of this node have been looked through.") {}

void Repair::want(GroupId group) {
    if (mending_.contains(group)) return;
    due_.try_emplace(group, env_.clock.now());
    changed();
}

Result<> Repair::run() {
    Scope scope(env_.fibers);
    for (;;) {
        const std::optional<Time> next = begin_what_is_due(scope);
        changed_since_ = false;
        Result<> waited;
        if (next) {
            const Deadline until(env_.fibers, *next);
            waited = changed_.wait([this] { return changed_since_; });
        } else {
            waited = changed_.wait([this] { return changed_since_; });
        }
        if (!waited.ok() && waited.error() != Error::timed_out) return waited;
        if (!failed_.ok()) return failed_;
    }
}

// When something will be due that is not yet; nothing while all hands are full.
std::optional<Time> Repair::begin_what_is_due(Scope& scope) {
    std::optional<Time> next;
    for (auto at = due_.begin(); at != due_.end() && mending_.size() < groups_max;) {
        if (at->second > env_.clock.now()) {
            next = std::min(next.value_or(at->second), at->second);
            ++at;
            continue;
        }
        const GroupId id = at->first;
        at = due_.erase(at);
        mending_.insert(id);
        scope.spawn("repair group", [this, id] {
            const Result<> mended = mend(id);
            mending_.erase(id);
            if (!mended.ok() && mended.error() == Error::unavailable)
                due_.insert_or_assign(id, env_.clock.now() + repair_pause);
            else if (!mended.ok() && mended.error() != Error::cancelled)
                failed_ = mended;
            changed();
        });
    }
    if (mending_.size() >= groups_max) return {};
    return next;
}

void Repair::changed() {
    changed_since_ = true;
    changed_.notify_all();
}

// ---- Who looks for it ----

Result<> Repair::scrub() {
    for (;;) {
        const bool early = BUGGIFY("repair/scrubs-early", 200'000);
        const Duration pause = early ? Duration(1s) : host_.settings_.log.scrub_interval;
        TRY(env_.fibers.sleep_until(env_.clock.now() + pause));
        std::vector<GroupId> groups;
        for (const auto& [id, group] : host_.groups()) groups.push_back(id);
        for (const GroupId id : groups) TRY(scrub_group(id));
        scrubs_total_.add();
    }
}

Result<> Repair::scrub_group(GroupId id) {
    std::int64_t next = 0;
    for (;;) {
        {
            const GroupRef group = host_.find(id);
            if (!group || next >= group->log().segments_end().index) return {};
            const Result<std::int64_t> scrubbed = group->log().scrub(next, scrub_piece);
            if (!scrubbed.ok() && scrubbed.error() == Error::cancelled) return Error::cancelled;
            // Whoever needs to read it will hear of that. Too many files may be open just now.
            SOMETIMES(!scrubbed.ok(), "repair/scrub-could-not-read");
            if (!scrubbed.ok()) return {};
            next = scrubbed.value();
            SOMETIMES(!group->log().damages().empty(), "repair/scrub-found-damage");
        }
        scrubbed_total_.add();
        TRY(env_.fibers.sleep_until(env_.clock.now() + scrub_pause));
    }
}

// ---- Who has lost something ----

// Error::unavailable: something is left, and nobody has it now.
Result<> Repair::mend(GroupId id) {
    const GroupRef group = host_.find(id);
    if (!group) return {};
    for (;;) {
        const std::vector<Damage> damages = group->log().damages();
        if (damages.empty()) break;
        bool changed = false;
        for (const Damage& damage : damages) {
            if (group->is_closing()) return {};
            changed = TRY(mend_one(*group, damage)) || changed;
        }
        SOMETIMES(!changed, "repair/nobody-has-it");
        if (changed) continue;
        in_vain_total_.add();
        return Error::unavailable;
    }
    REACHABLE("repair/group-is-whole-again");
    group->log_is_mended();
    return {};
}

namespace {

// Still, and as it was: there is no use in asking for it again at once.
bool is_known(const Group& group, const Damage& damage) {
    return std::ranges::any_of(group.log().damages(), [&](const Damage& known) {
        return known.first == damage.first && known.end == damage.end;
    });
}

} // namespace

// True if something has changed.
Result<bool> Repair::mend_one(Group& group, const Damage& damage) {
    for (const NodeId peer : peers_of(group)) {
        const Fetched fetched = TRY(fetch(group, peer, damage));
        if (fetched.frames.empty()) continue;
        const bool is_less = !TRY(may_take(group, damage, fetched));
        SOMETIMES(is_less, "repair/answer-is-less-compacted");
        if (is_less) continue;
        const Result<> mended = group.mend(fetched.frames);
        SOMETIMES(!mended.ok() && mended.error() == Error::malformed, "repair/answer-does-not-fit");
        if (mended.ok()) return true;
        if (mended.error() == Error::unavailable) return !is_known(group, damage);
        SOMETIMES(mended.error() == Error::not_found, "repair/segment-cannot-be-opened");
        if (mended.error() == Error::not_found) return false;
        if (mended.error() != Error::malformed) return mended.error();
        env_.log.warning("another replica has something else than what is damaged here",
                         {{"group", group.id()}, {"node", peer}, {"position", damage.first}});
    }
    return false;
}

// The very entry is good wherever it is from. Else it must not be older than what this log has made
// of its entries, or was about to, lest records come back that were obsolete: what made them so may
// be gone.
Result<bool> Repair::may_take(Group& group, const Damage& damage, const Fetched& fetched) const {
    const std::vector<wire::Frame>& frames = fetched.frames;
    if (damage.entry && wire::is_same_entry(*damage.entry, frames.front())) return true;
    if (std::ranges::none_of(frames, &wire::Frame::has_records)) return true;
    const auto wanted = group.compaction();
    if (!wanted.ok() && wanted.error() != Error::corrupt) {
        if (wanted.error() == Error::not_found) return true; // Trimmed, and so is all before it.
        return wanted.error();
    }
    if (wanted.ok() && !wanted.value()) return true;
    wire::Compacted least;
    if (wanted.ok()) {
        least = wanted.value()->to;
    } else {
        // What says so may be among what is damaged.
        const auto said =
            std::ranges::find(frames, wire::Frame::Kind::compaction, &wire::Frame::kind);
        if (said == frames.end()) return false;
        const auto compaction = wire::compaction_of(*said);
        if (!compaction.ok()) return false;
        least = compaction.value().to;
    }
    return frames.front().first.index >= least.end.index || fetched.compacted.has(least);
}

// The leader first, which has all that counts.
std::vector<NodeId> Repair::peers_of(const Group& group) const {
    std::vector<NodeId> peers;
    for (const NodeId node : nodes_of(group.consensus().members()))
        if (node != host_.self() && host_.transport().connected(node)) peers.push_back(node);
    std::ranges::stable_partition(peers, [&](NodeId node) { return node == group.leader(); });
    return peers;
}

// All of it, or nothing.
Result<Repair::Fetched> Repair::fetch(Group& group, NodeId peer, const Damage& damage) {
    wire::FramesRequest request{damage.first, damage.end, {}, 0};
    if (damage.entry) {
        request.term = damage.entry->term;
        request.payload_crc = damage.entry->payload_crc;
    }
    Fetched all;
    while (request.first < damage.end) {
        Fetched some = TRY(ask(group.id(), peer, request));
        if (some.frames.empty()) return Fetched();
        SOMETIMES(!all.frames.empty(), "repair/asked-for-more");
        // It only grows.
        if (all.frames.empty()) all.compacted = some.compacted;
        for (wire::Frame& frame : some.frames) {
            if (frame.first != request.first || request.first >= damage.end) return Fetched();
            request.first = frame.end();
            all.frames.push_back(std::move(frame));
        }
    }
    return all;
}

Result<Repair::Fetched> Repair::ask(GroupId group, NodeId peer, wire::FramesRequest request) {
    asked_total_.add();
    asked_.insert_or_assign(group, Asked{peer, request.first, {}});
    host_.transport().send(peer, {group, request, {}});
    const Deadline until(env_.fibers, env_.clock.now() + repair_patience);
    const Result<> waited = answered_.wait([&] { return asked_.at(group).answer.has_value(); });
    const Asked asked = std::move(asked_.extract(group).mapped());
    SOMETIMES(!asked.answer, "repair/no-answer");
    if (!waited.ok() && waited.error() != Error::timed_out) return waited.error();
    return asked.answer.value_or(Fetched());
}

// ---- Who may have it ----

void Repair::receive(NodeId from, wire::PeerMessage message) {
    if (const auto* request = std::get_if<wire::FramesRequest>(&message.body))
        return serve(from, message.group, *request);
    const auto asked = asked_.find(message.group);
    const auto* reply = std::get_if<wire::FramesReply>(&message.body);
    if (asked == asked_.end() || !reply || asked->second.peer != from ||
        asked->second.first != reply->first) {
        REACHABLE("repair/answer-to-nothing");
        return;
    }
    asked->second.answer = Fetched{std::move(message.frames), reply->compacted};
    answered_.notify_all();
}

// Whoever asks again before he has his answer has lost it.
void Repair::serve(NodeId to, GroupId id, const wire::FramesRequest& request) {
    if (!host_.running_ || serving_.size() >= serving_max || !host_.find(id)) return;
    if (!serving_.emplace(to, id).second) return;
    host_.running_->spawn("frames for a peer", [this, to, id, request] {
        if (const GroupRef group = host_.find(id)) {
            // Before it reads: what it reads is no less.
            const wire::Compacted compacted = group->log().compacted();
            Result<std::vector<wire::Frame>> frames = find(*group, request);
            if (!frames.ok()) frames = std::vector<wire::Frame>();
            served_total_.add(frames.value().size());
            if (!BUGGIFY("repair/answer-is-lost"))
                host_.transport().send(
                    to,
                    {id, wire::FramesReply{request.first, compacted}, std::move(frames).value()},
                    Transport::Lane::entries);
        }
        serving_.erase({to, id});
    });
}

Result<std::vector<wire::Frame>> Repair::find(Group& group, const wire::FramesRequest& request) {
    Log& log = group.log();
    const bool is_exact = request.term != Term();
    std::vector<wire::Frame> frames;
    // Positions beyond, or behind each other, are none that anybody could have lost.
    Position limit = std::min(request.end, is_exact ? log.end() : group.committed());
    if (request.first.index < log.start().index || request.first.index >= limit.index)
        return frames;
    const std::size_t most = is_exact || BUGGIFY("repair/serves-one") ? 0 : frames_bytes_max;
    frames = TRY(log.read_frames(request.first, limit, most));
    if (frames.empty() || frames.front().first != request.first) return std::vector<wire::Frame>();
    if (!is_exact) return frames;
    frames.resize(1);
    const wire::Frame& only = frames.front();
    const bool is_reduced = only.kind == wire::Frame::Kind::reduced;
    const bool is_it = only.term == request.term && only.end() == request.end &&
                       (only.payload_crc == request.payload_crc || is_reduced);
    SOMETIMES(!is_it, "repair/has-another-entry-there");
    return is_it ? std::move(frames) : std::vector<wire::Frame>();
}

} // namespace pyralog::raft
