#include "sim-tests/workload_client.h"

#include "core/wire/kafka/list_offsets.h"

namespace pyralog::simtest {

Result<std::int64_t> Client::ask_start(KafkaConnection& connection, const TopicPartition& name,
                                       NodeId self) {
    kafka::ListOffsetsRequest request;
    request.topics.push_back(
        {name.topic, {{name.partition, -1, kafka::ListOffsetsRequest::earliest}}});
    const auto answer = TRY(connection.call(request));
    if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1)
        return Error::malformed;
    const auto& told = answer.topics[0].partitions[0];
    if (told.error != kafka::ErrorCode::none) return Error::unavailable;
    History& history = workload_.history_;
    history.told({self.value, history.partition(name), now(), told.offset, 0});
    return told.offset;
}

} // namespace pyralog::simtest
