#include "server/grpc/calls.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>

namespace pyralog::server {

namespace {

// Of who has set no deadline.
constexpr Duration produce_patience = 30s;
// How long to wait for more at a time, for who follows.
constexpr Duration fetch_patience = 30s;
// What is fetched at a time, and about what one message may hold: clients refuse more than 4 MiB
// unless they are told otherwise.
constexpr std::size_t message_bytes = 1_MiB;
// Nobody's partition, and nobody's epoch.
constexpr std::uint32_t number_max = std::numeric_limits<std::int32_t>::max();
constexpr std::string_view leader_metadatum = "pyralog-leader";

grpc::StatusCode code_of(NativeError error) {
    switch (error) {
    case NativeError::invalid_offset: return grpc::StatusCode::OUT_OF_RANGE;
    case NativeError::partition_not_found: return grpc::StatusCode::NOT_FOUND;
    case NativeError::not_leader: return grpc::StatusCode::FAILED_PRECONDITION;
    case NativeError::quorum_not_available: return grpc::StatusCode::UNAVAILABLE;
    case NativeError::unknown_outcome: return grpc::StatusCode::UNKNOWN;
    case NativeError::epoch_sealed: return grpc::StatusCode::ABORTED;
    case NativeError::invalid_request: return grpc::StatusCode::INVALID_ARGUMENT;
    case NativeError::out_of_space: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case NativeError::unreadable: return grpc::StatusCode::DATA_LOSS;
    case NativeError::stopping: return grpc::StatusCode::UNAVAILABLE;
    }
    return grpc::StatusCode::INTERNAL;
}

grpc::Status stopping() { return {grpc::StatusCode::UNAVAILABLE, "this node is stopping"}; }

std::string text_of(const Bytes& bytes) { return std::string(bytes.text()); }

Native::Partition partition_of(const auto& request) {
    const std::uint32_t index = std::min<std::uint32_t>(request.partition(), number_max);
    return {request.topic(), static_cast<std::int32_t>(index)};
}

Offset offset_of(std::uint64_t value) {
    return Offset(static_cast<std::int64_t>(
        std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max())));
}

Native::NewRecord record_of(const v1::Record& from) {
    Native::NewRecord record;
    if (from.has_key()) record.key = from.key();
    if (from.has_value()) record.value = from.value();
    record.timestamp_ms = offset_of(from.timestamp()).value;
    for (const v1::Header& header : from.headers()) {
        record.headers.push_back({header.key(), {}});
        if (header.has_value()) record.headers.back().value = Bytes::copy_of(header.value());
    }
    return record;
}

void put(const wire::Record& from, v1::Record& record) {
    record.set_offset(static_cast<std::uint64_t>(from.offset.value));
    record.set_timestamp(static_cast<std::uint64_t>(std::max<std::int64_t>(from.timestamp, 0)));
    if (from.key) record.set_key(text_of(*from.key));
    if (from.value) record.set_value(text_of(*from.value));
    for (const wire::RecordHeader& header : from.headers) {
        v1::Header& to = *record.add_headers();
        to.set_key(header.key);
        if (header.value) to.set_value(text_of(*header.value));
    }
}

class UnaryCall final : public grpc::ServerUnaryReactor {
    void OnDone() override { delete this; }
};

} // namespace

// The library's threads call what begins with "On". All else is the node's.
class ConsumeCall final : public grpc::ServerWriteReactor<v1::ConsumeResponse> {
public:
    ConsumeCall(Calls& calls, grpc::CallbackServerContext& c, const v1::ConsumeRequest& r)
        : context(c), request(r), calls_(calls) {}

    // False: the client has gone, takes nothing any more, or the node stops.
    bool write(Scheduler& fibers, Time until) {
        Signal written(fibers);
        written_ = &written;
        StartWrite(&message);
        Result<> waited;
        {
            const Deadline deadline(fibers, until);
            waited = written.wait();
        }
        if (!waited.ok()) {
            context.TryCancel(); // Or the library could wait for the client for ever.
            written.wait_through();
        }
        written_ = nullptr;
        message.Clear();
        return waited.ok() && was_taken_;
    }

    grpc::CallbackServerContext& context;
    const v1::ConsumeRequest& request;
    v1::ConsumeResponse message;

private:
    void OnWriteDone(bool taken) override {
        calls_.door_.post([this, taken] {
            was_taken_ = taken;
            written_->set();
        });
    }
    // It may have been finished when this is looked at, and be gone.
    void OnCancel() override {
        calls_.door_.post([&calls = calls_, call = static_cast<const ConsumeCall*>(this)] {
            const auto found = calls.streams_.find(call);
            if (found != calls.streams_.end()) found->second->cancel();
        });
    }
    void OnDone() override { delete this; }

    Calls& calls_;
    Signal* written_ = nullptr; // While a message is on its way.
    bool was_taken_ = false;
};

// Called by the library's threads.
class Calls::Service final : public v1::PyralogService::CallbackService {
public:
    explicit Service(Calls& calls) : calls_(calls) {}

    grpc::ServerUnaryReactor* Produce(grpc::CallbackServerContext* context,
                                      const v1::ProduceRequest* request,
                                      v1::ProduceResponse* response) override {
        return answer([&calls = calls_, context, request, response] {
            return calls.produce(*context, *request, *response);
        });
    }
    grpc::ServerUnaryReactor* GetMetadata(grpc::CallbackServerContext* context,
                                          const v1::GetMetadataRequest* request,
                                          v1::GetMetadataResponse* response) override {
        return answer([&calls = calls_, context, request, response] {
            return calls.tell_partitions(*context, *request, *response);
        });
    }
    grpc::ServerWriteReactor<v1::ConsumeResponse>*
    Consume(grpc::CallbackServerContext* context, const v1::ConsumeRequest* request) override {
        auto* const call = new ConsumeCall(calls_, *context, *request);
        calls_.door_.post([&calls = calls_, call] {
            calls.come({[&calls, call] { return calls.consume(*call); },
                        [call](const grpc::Status& status) { call->Finish(status); }});
        });
        return call;
    }

private:
    grpc::ServerUnaryReactor* answer(std::function<grpc::Status()> serve) {
        auto* const call = new UnaryCall;
        calls_.door_.post([&calls = calls_, call, serve = std::move(serve)] {
            calls.come({serve, [call](const grpc::Status& status) { call->Finish(status); }});
        });
        return call;
    }

    Calls& calls_;
};

Calls::Calls(Node& node, real::Door& door)
    : node_(node), native_(node), door_(door), service_(std::make_unique<Service>(*this)),
      changed_(node.env.fibers) {}
Calls::~Calls() = default;

grpc::Service& Calls::service() { return *service_; }

void Calls::come(Call call) {
    if (is_stopping_) return call.finish(stopping());
    if (serving_ + static_cast<std::int64_t>(waiting_.size()) >= node_.config.grpc.calls_max)
        return call.finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                            "too many calls at a time: grpc.calls_max of this node is " +
                                std::to_string(node_.config.grpc.calls_max)});
    waiting_.push_back(std::move(call));
    changed_.notify_all();
}

Result<> Calls::run() {
    Scope scope(node_.env.fibers);
    for (;;) {
        const Result<> waited = changed_.wait([this] { return !waiting_.empty(); });
        if (!waited.ok()) {
            is_stopping_ = true;
            for (const Call& call : waiting_) call.finish(stopping());
            waiting_.clear();
            scope.cancel();
            scope.join();
            return waited;
        }
        scope.spawn("grpc call", [this, call = std::move(waiting_.front())] {
            call.finish(call.serve());
            --serving_;
        });
        waiting_.pop_front();
        ++serving_;
    }
}

// The library knows it as a time of the day.
Time Calls::deadline_of(const grpc::CallbackServerContext& context) const {
    using std::chrono::milliseconds;
    const auto deadline = std::chrono::floor<milliseconds>(context.deadline());
    const milliseconds left =
        deadline.time_since_epoch() - milliseconds(node_.env.clock.wall().unix_ms);
    const milliseconds most = std::chrono::duration_cast<milliseconds>(produce_patience);
    return node_.env.clock.now() + std::clamp(left, milliseconds(0), most);
}

std::string Calls::address_of(NodeId node) const {
    if (node == node_.host.self()) return node_.config.grpc_advertised();
    const auto& all = node_.host.transport().grpc_addresses();
    const auto found = all.find(node);
    return found == all.end() ? std::string() : found->second;
}

grpc::Status Calls::status_of(grpc::CallbackServerContext& context,
                              const NativeFailure& failure) const {
    const std::string leader = failure.leader ? address_of(*failure.leader) : std::string();
    if (leader.empty()) return {code_of(failure.error), failure.message};
    context.AddTrailingMetadata(std::string(leader_metadatum), leader);
    return {code_of(failure.error), "not the leader, redirect to " + leader};
}

grpc::Status Calls::produce(grpc::CallbackServerContext& context, const v1::ProduceRequest& request,
                            v1::ProduceResponse& response) {
    std::vector<Native::NewRecord> records;
    records.reserve(static_cast<std::size_t>(request.records_size()));
    for (const v1::Record& record : request.records()) records.push_back(record_of(record));
    std::optional<Term> epoch;
    if (request.has_epoch())
        epoch =
            Term(static_cast<std::int32_t>(std::min<std::uint32_t>(request.epoch(), number_max)));
    const auto done = native_.produce(partition_of(request), records, deadline_of(context), epoch);
    if (const auto* const failure = std::get_if<NativeFailure>(&done))
        return status_of(context, *failure);
    const auto& written = std::get<Native::Written>(done);
    response.set_offset(static_cast<std::uint64_t>(written.offset.value));
    response.set_epoch(static_cast<std::uint32_t>(written.epoch.value));
    return grpc::Status::OK;
}

grpc::Status Calls::tell_partitions(grpc::CallbackServerContext& context,
                                    const v1::GetMetadataRequest& request,
                                    v1::GetMetadataResponse& response) {
    const auto found = native_.partitions(request.topic());
    if (const auto* const failure = std::get_if<NativeFailure>(&found))
        return status_of(context, *failure);
    for (const Native::Led& led : std::get<std::vector<Native::Led>>(found)) {
        auto& partition = *response.add_partitions();
        if (led.leader) {
            partition.set_leader(static_cast<std::uint32_t>(led.leader->value));
            partition.set_leader_address(address_of(*led.leader));
        }
        for (const NodeId replica : led.replicas)
            partition.add_replicas(static_cast<std::uint32_t>(replica.value));
    }
    return grpc::Status::OK;
}

// In a Scope of its own, which ends when the client goes.
grpc::Status Calls::consume(ConsumeCall& call) {
    if (call.context.IsCancelled()) return grpc::Status::CANCELLED;
    grpc::Status status = stopping();
    Scope scope(node_.env.fibers);
    streams_[&call] = &scope;
    scope.spawn("grpc consume", [&] { status = read(call); });
    scope.join();
    streams_.erase(&call);
    return status;
}

grpc::Status Calls::read(ConsumeCall& call) {
    const Native::Partition partition = partition_of(call.request);
    const auto asked = native_.bounds(partition);
    if (const auto* const failure = std::get_if<NativeFailure>(&asked))
        return status_of(call.context, *failure);
    const Native::Bounds bounds = std::get<Native::Bounds>(asked);
    Offset next = call.request.from() == v1::ConsumeRequest::EARLIEST ? bounds.start
                  : call.request.from() == v1::ConsumeRequest::LATEST
                      ? bounds.end
                      : offset_of(call.request.offset());
    const auto write = [&] {
        return call.write(node_.env.fibers, node_.env.clock.now() + node_.config.kafka.stall_max);
    };
    const auto is_wanted = [&] { return call.request.follow() || next < bounds.end; };
    // An offset that does not exist is to be told, also to who would have had to wait for nothing.
    for (bool is_first = true; is_first || is_wanted(); is_first = false) {
        const bool may_wait = call.request.follow() || next < bounds.end;
        const auto got =
            native_.fetch(partition, next, message_bytes,
                          node_.env.clock.now() + (may_wait ? fetch_patience : Duration::zero()));
        if (const auto* const failure = std::get_if<NativeFailure>(&got))
            return status_of(call.context, *failure);
        const auto& fetched = std::get<Native::Fetched>(got);
        std::size_t bytes = 0;
        for (const wire::Record& record : fetched.records) {
            v1::Record& told = *call.message.add_records();
            put(record, told);
            bytes += told.ByteSizeLong();
            const bool is_last = &record == &fetched.records.back();
            if (bytes < message_bytes && !is_last) continue;
            const Offset after = is_last ? fetched.next : record.offset + 1;
            call.message.set_next_offset(static_cast<std::uint64_t>(after.value));
            call.message.set_end_offset(static_cast<std::uint64_t>(fetched.end.value));
            if (!write()) return stopping();
            bytes = 0;
        }
        next = fetched.next;
    }
    return grpc::Status::OK;
}

} // namespace pyralog::server
