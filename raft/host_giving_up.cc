// A Host whose disk does not tell what it has promised: it gives that up, and abstains until the
// others have brought its replicas level. README.md says why nothing is lost by it.
#include "core/base/probe.h"
#include "core/log/set_aside.h"
#include "core/log/survey.h"
#include "core/wire/log_start.h"
#include "raft/host.h"

#include <algorithm>
#include <functional>
#include <string>

namespace pyralog::raft {

namespace {

// How often is said what is still missing, by a node that may not speak, or of which a replica may
// not vote.
constexpr Duration tell_interval = 30s;

std::string list_of(const std::vector<NodeId>& nodes) {
    std::string text;
    for (const NodeId node : nodes) text += (text.empty() ? "" : ", ") + std::to_string(node.value);
    return text;
}

} // namespace

// With nobody to ask, what is lost is lost, and that is for people to decide.
bool Host::may_give_up(const std::vector<Member>& groups) const {
    const auto is_alone = [](const Member& member) {
        return member.members.voters.size() == 1 || member.members.outgoing.size() == 1;
    };
    const auto alone = std::ranges::find_if(groups, is_alone);
    if (alone == groups.end()) return true;
    REACHABLE("host/has-nobody-to-ask");
    const bool has_peers = std::ranges::any_of(groups, std::not_fn(is_alone));
    env_.log.error(
        has_peers
            ? "the only replica of a partition is on this disk, which is damaged: with an empty "
              "data directory this node gets back all but that from the others"
            : "the only replica of a partition is on this disk, which is damaged: `pyralog log "
              "repair` on its data directory says what would be lost, and does it with --force",
        {{"group", alone->group}});
    return false;
}

Result<> Host::give_up(const std::vector<Member>& groups) {
    REACHABLE("host/gives-up");
    env_.log.error("this disk does not tell any more what this node has promised: it is given up, "
                   "and all replicas here abstain until the others have brought them level");
    given_up_.add();
    TRY(visit_journal(
        env_, "journal",
        [this](std::string_view, std::uint64_t, const wire::Frame& frame, bool is_intact) {
            if (frame.kind != wire::Frame::Kind::start || !is_intact) return;
            if (const auto start = wire::start_of(frame); start.ok())
                disks_.keep_start(frame.group, start.value());
        }));
    TRY(disks_.begin_giving_up());
    forget_recovery();
    return set_aside(groups);
}

// The journal, and the segments of groups that do not fit together or of which nobody has told.
// Whoever does this again after an end of the process finds the rest.
Result<> Host::set_aside(const std::vector<Member>& groups) {
    SetAside aside(env_);
    TRY(aside.take("journal"));
    const auto starts = TRY(disks_.starts());
    for (const GroupId id : TRY(Log::list(env_))) {
        const auto member = std::ranges::find(groups, id, &Member::group);
        const bool is_whole = member != groups.end() && TRY(fits(*member, starts));
        SOMETIMES(!is_whole, "host/sets-segments-aside");
        if (!is_whole) TRY(aside.take("groups/" + std::to_string(id.value)));
    }
    TRY(disks_.has_given_up());
    env_.log.warning("what could not be trusted was set aside", {{"directory", aside.where()}});
    return {};
}

// Changes nothing on the disk.
Result<bool> Host::fits(const Member& member, const std::map<GroupId, LogStart>& starts) {
    Journal none(env_, "journal", settings_.journal, identity_); // That is what there will be.
    auto opened = Log::open(env_, none, budget_, log_config(member), member.group);
    Result<> whole = opened.ok() ? Result<>() : opened.error();
    const auto start = starts.find(member.group);
    if (whole.ok() && start != starts.end())
        whole = opened.value()->replay(wire::start_frame(member.group, start->second));
    if (whole.ok()) whole = opened.value()->finish_replay();
    if (!whole.ok() && whole.error() != Error::corrupt) return whole.error();
    return whole.ok();
}

Result<wire::Vote> Host::recovered_vote(const Log& log) const {
    const auto frame = journal_->vote(log.group());
    if (!frame) {
        wire::Vote none;
        none.term = log.terms().last();
        none.is_unknown = disks_.replaces_another();
        // An entry is never there before its leader's vote, or that of a follower.
        if (none.term > Term() && !none.is_unknown) return Error::corrupt;
        return none;
    }
    // Only its term is known any more: in that term this replica votes for nobody. Did it abstain?
    // If its disk stands for another, it may have.
    const bool is_lost = frame->payload.empty();
    SOMETIMES(is_lost, "host/vote-has-lost-its-candidate");
    if (is_lost && disks_.replaces_another()) return wire::Vote{frame->term, {}, true};
    if (is_lost) return wire::Vote{frame->term, wire::Vote::forgotten};
    return wire::decode<wire::Vote>(joined(frame->payload));
}

// All that is here was made by a node that has not said a word.
void Host::lose_votes() {
    for (auto& [id, group] : groups_) group->lose_vote(env_.clock.now());
}

// Says every now and then whom this node waits for, as long as it does. Ends when the node has to.
Result<> Host::tell_of_abstention() {
    for (;;) {
        const Result<> failed = [&] {
            const Deadline until(env_.fibers, env_.clock.now() + tell_interval);
            return disks_.changed().wait([this] { return disks_.failure().has_value(); });
        }();
        if (failed.ok()) return *disks_.failure();
        if (failed.error() != Error::timed_out) return failed;
        if (const auto strangers = disks_.strangers(); !strangers.empty())
            env_.log.warning("this node is on a new disk and may not speak until all others have "
                             "said that they know it: start those that are down",
                             {{"nodes", list_of(strangers)}});
        if (abstaining_.empty()) continue;
        const Consensus& first = groups_.at(*abstaining_.begin())->consensus();
        const auto unheard = first.unheard();
        env_.log.warning(
            unheard.empty()
                ? "replicas here have lost what they promised, and abstain until a leader has "
                  "brought them level"
                : "replicas here have lost what they promised, and abstain until all others have "
                  "answered: start those that are down, with the disks that they had",
            {{"groups", abstaining_.size()},
             {"group", *abstaining_.begin()},
             {"nodes", list_of(unheard)}});
    }
}

} // namespace pyralog::raft
