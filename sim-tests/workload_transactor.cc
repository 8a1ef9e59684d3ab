// A transactional producer: batches to several partitions, which all count or none does. He sends
// each until he is told, and ends what he began, or leaves it and begins anew under the same id,
// which fences whoever had it before; and who was it before may come back, and go on as if he had
// only slept. Rivals have one id.
#include "sim-tests/transactional_client.h"

#include "core/base/probe.h"

namespace pyralog::simtest {

namespace {

constexpr Duration fenced_rest_most = 500ms;
constexpr Duration nap_most = 3s; // With all sent, and nothing ended.

} // namespace

class Transactor : public TransactionalClient {
public:
    Transactor(Workload& workload, Environment& env, NodeId self, bool has_rivals)
        : TransactionalClient(workload, env, "transactor", self,
                              "transactor-" + std::to_string(has_rivals ? 0 : self.value)) {}

    void run() {
        while (think()) {
            learn();
            if (!self_.is_known() && !begin().ok()) {
                if (!rest(pause_after_failure)) return;
                continue;
            }
            perhaps_come_back();
            if (!transact()) retire();
            if (env_.fibers.cancelled()) return;
        }
    }

private:
    // Who he was before he began anew, and what he left then.
    struct Ghost {
        Self self;
        std::size_t transaction = 0;
        Parts parts;
    };

    // Somebody else begins in his place.
    void retire() {
        ghost_ = {self_, last_, parts_};
        self_ = {};
        if (often(random_, 30)) (void)rest(random_.between(Duration{0}, fenced_rest_most));
    }

    void perhaps_come_back() {
        if (!ghost_ || !often(random_, 25)) return;
        REACHABLE("client/comes-back-fenced");
        Ghost ghost = *std::exchange(ghost_, {});
        std::swap(self_, ghost.self);
        patience_ = Patience::little;
        const Parts parts = often(random_, 50) ? ghost.parts : parts_;
        if (often(random_, 50)) (void)add(parts);
        for (const TopicPartition& name : parts)
            if (often(random_, 60)) (void)send(ghost.transaction, name, draw_count());
        if (often(random_, 50)) (void)end(ghost.transaction, often(random_, 50));
        patience_ = Patience::much;
        std::swap(self_, ghost.self);
    }

    std::int32_t draw_count() {
        return static_cast<std::int32_t>(random_.between(1, plan().records_max));
    }

    // False: this name is not to be used any more.
    bool transact() {
        parts_.clear();
        const auto most = random_.between(1, 3);
        for (std::int64_t i = 0; i < most; ++i) {
            const auto target = pick_of([&](const TopicPartition& name) {
                return workload_.stays(name.topic) &&
                       std::ranges::find(parts_, name) == parts_.end();
            });
            if (target) parts_.push_back(target->name);
        }
        if (parts_.empty()) return rest(pause_after_failure);
        last_ = open();
        if (!add(parts_)) return false;
        bool is_whole = true;
        for (const TopicPartition& name : parts_) {
            for (std::int64_t i = random_.between(1, 2); i > 0 && is_whole; --i)
                is_whole = send(last_, name, draw_count());
            perhaps_come_back();
        }
        SOMETIMES(!is_whole, "client/cannot-send-all-of-a-transaction");
        if (often(random_, 5) && !rest(random_.between(Duration{0}, nap_most))) return false;
        if (often(random_, 5)) return false; // He goes, and leaves it open.
        const bool commits = is_whole && !often(random_, 30);
        if (often(random_, 20)) {
            end_and_go(commits);
            return false;
        }
        // Who gives up soon is followed by somebody who has it aborted, if it is not over yet.
        patience_ = often(random_, 50) ? Patience::much : Patience::little;
        const bool is_over = end(last_, commits);
        patience_ = Patience::much;
        return is_over && is_whole;
    }

    std::optional<Ghost> ghost_;
    Parts parts_;          // Of the last transaction,
    std::size_t last_ = 0; // which has this number in the history.
};

void Workload::transact(Environment& env, NodeId self) {
    Transactor(*this, env, self, plan_.rivals).run();
}

} // namespace pyralog::simtest
