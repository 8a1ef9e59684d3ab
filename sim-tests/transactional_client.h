// sim-tests/transactional_client.h
//
// What all who write in transactions have in common: a transactional id, the name under which they
// go on with it, and the requests, each of which is noted as what it came to. It decides nothing;
// the programs that use it do. Whoever begins under an id fences those who had it before: so what
// they were told and what was taken from them is noted, too.
#pragma once

#include "core/wire/kafka/produce.h"
#include "sim-tests/workload_client.h"

namespace pyralog::simtest {

class TransactionalClient : public Client {
public:
    TransactionalClient(Workload& workload, Environment& env, std::string_view what, NodeId self,
                        std::string id);

protected:
    using Parts = std::vector<TopicPartition>;

    // Who he is, as InitProducerId has told him, and what he has sent as that.
    struct Self {
        std::int64_t producer = -1;
        std::int16_t epoch = -1;
        std::map<TopicPartition, std::int32_t> sequences;
        std::map<TopicPartition, std::int64_t> lines;
        bool is_known() const { return producer >= 0; }
    };
    // For how long he asks until there is an answer for good: a dozen times, or two.
    enum class Patience : std::uint8_t { little, much };

    // Begins anew: in self_ there is somebody else then, whom nobody else is.
    Result<> begin();

    std::size_t open(); // A transaction, in the history.
    bool add(const Parts& parts);
    bool add_offsets(const std::string& group);
    // One batch of the transaction. `made` are told the idents of its records, in order.
    bool send(std::size_t transaction, const TopicPartition& name, std::int32_t records,
              const std::function<void(std::int32_t record, Ident)>& made = {});
    // Who commits them, for a group that has members; else nobody.
    struct Committer {
        std::string member;
        std::int32_t generation = -1;
    };
    bool commit_offset(const std::string& group, const Committer& who, const TopicPartition& name,
                       std::int64_t offset);
    // False: nobody knows what became of it, or the name is over.
    bool end(std::size_t transaction, bool commits);
    // Without hearing what becomes of it.
    void end_and_go(bool commits);

    const NodeId node_;
    const std::string id_;
    Self self_;
    Patience patience_ = Patience::much;

private:
    template <class Request, class ErrorOf>
    std::optional<typename Request::Response> ask(const Request& request, std::int16_t version_min,
                                                  const ErrorOf& error_of);
    int attempts() const;
    std::int16_t end_version();
    void taken(std::string_view what);
    bool insist(const TopicPartition& name, const Bytes& bytes, std::size_t number);
    Result<kafka::ErrorCode> produce_once(const TopicPartition& name,
                                          const kafka::ProduceRequest& request,
                                          std::int64_t& base_offset);

    Duration asked_at_{0}; // When the last attempt began.
    std::int64_t next_number_ = 1;
    std::int64_t next_line_ = 1;
};

} // namespace pyralog::simtest
