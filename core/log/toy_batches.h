// core/log/toy_batches.h
//
// For tests: batches that people can read, and a BatchReader for them. A line for each record:
//
//     12 apple = red
//     13 pear -            says that this key is deleted
//     14 = nothing         has no key
#pragma once

#include "core/log/compaction.h"
#include "core/wire/compaction.h"
#include "core/wire/frame.h"

#include <sstream>
#include <string>
#include <vector>

namespace pyralog::log_test {

struct ToyRecord {
    std::string key;   // Empty: none.
    std::string value; // Empty: deletes the key.
};

inline std::string toy_batch(Offset first, const std::vector<ToyRecord>& records) {
    std::string text;
    for (const ToyRecord& record : records) {
        text += std::to_string(first.value) + ' ';
        if (!record.key.empty()) text += record.key + ' ';
        text += (record.value.empty() ? "-" : "= " + record.value) + '\n';
        first = first + 1;
    }
    return text;
}

inline std::vector<std::string> lines_of(const BytesChain& batch) {
    const Bytes all = joined(batch);
    std::istringstream text{std::string(all.text())};
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
}

class ToyReader final : public BatchReader {
public:
    std::optional<std::vector<KeyedRecord>> records_in(const BytesChain& batch) const override {
        std::vector<KeyedRecord> records;
        for (const std::string& line : lines_of(batch)) {
            std::istringstream fields(line);
            std::int64_t offset = -1;
            std::string key, sign;
            if (!(fields >> offset >> key)) return {};
            KeyedRecord record;
            record.offset = Offset(offset);
            if (key != "=") {
                fields >> sign;
                record.key = Bytes::copy_of(key);
                record.deletes = sign == "-";
            }
            records.push_back(std::move(record));
        }
        return records;
    }

    BytesChain reduced(const BytesChain& batch, std::span<const Offset> kept) const override {
        std::string text;
        for (const std::string& line : lines_of(batch))
            for (const Offset offset : kept)
                if (std::stoll(line) == offset.value) text += line + '\n';
        return {Bytes::copy_of(text)};
    }
};

inline wire::Frame toy_entry(Position first, GroupId group, Term term,
                             const std::vector<ToyRecord>& records) {
    wire::Frame frame;
    frame.group = group;
    frame.term = term;
    frame.first = first;
    frame.records = static_cast<std::int32_t>(records.size());
    frame.payload = {Bytes::copy_of(toy_batch(first.offset, records))};
    return frame;
}

inline wire::Frame compaction_entry(Position first, GroupId group, Term term,
                                    const wire::Compacted& to) {
    wire::Frame frame;
    frame.kind = wire::Frame::Kind::compaction;
    frame.group = group;
    frame.term = term;
    frame.first = first;
    frame.payload = wire::compaction_payload({to, {}, 0});
    return frame;
}

} // namespace pyralog::log_test
