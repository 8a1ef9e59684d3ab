#include "server/producers/producer_ids.h"

#include "core/base/bug.h"
#include "core/base/probe.h"

namespace pyralog::server {

ProducerIds::ProducerIds(Environment& env, Controller& controller, NodeId self)
    : env_(env), controller_(controller), self_(self), random_(env.random.fork("producer ids")),
      taken_(env.fibers) {}

Result<std::int64_t> ProducerIds::take() {
    while (next_ == end_) {
        SOMETIMES(taking_, "producer-ids/another-asks-already");
        if (taking_) {
            TRY(taken_.wait([this] { return !taking_; }));
            continue;
        }
        taking_ = true;
        const Result<> taken = take_block();
        taking_ = false;
        taken_.notify_all();
        TRY(taken);
    }
    return next_++;
}

Result<> ProducerIds::take_block() {
    const Uuid request = draw_uuid(random_);
    const Catalogue::ProducerIdBlock* const last = controller_.catalogue().producer_ids(self_);
    if (end_ == 0 && last && BUG(P07)) {
        next_ = last->first;
        end_ = next_ + Catalogue::producer_ids_in_block;
        return {};
    }
    const Outcome outcome = TRY(controller_.submit(TakeProducerIds{self_, request}));
    const Catalogue::ProducerIdBlock* const block = controller_.catalogue().producer_ids(self_);
    // One that was asked for before, and came through later, may have taken its place.
    SOMETIMES(outcome == Outcome::done && block->request != request, "producer-ids/block-is-gone");
    if (outcome != Outcome::done || block->request != request) return Error::unavailable;
    next_ = block->first;
    end_ = block->first + Catalogue::producer_ids_in_block;
    env_.log.info("hands out producer ids", {{"first", next_}, {"end", end_}});
    return {};
}

} // namespace pyralog::server
