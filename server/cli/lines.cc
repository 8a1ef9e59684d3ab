#include "server/cli/lines.h"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace pyralog::cli {

std::optional<std::string> LineReader::next() {
    const std::size_t end = text_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = text_.size();
        if (!ended_ || position_ == text_.size()) return {};
        std::string line = text_.substr(position_);
        position_ = text_.size();
        ++lines_;
        return line;
    }
    std::string line = text_.substr(position_, end - position_);
    position_ = searched_ = end + 1;
    ++lines_;
    return line;
}

bool LineReader::ready() const {
    if (ended_) return true;
    pollfd waiting{file_, POLLIN, 0};
    return ::poll(&waiting, 1, 0) != 0; // What is wrong is found by reading.
}

Result<> LineReader::read() {
    constexpr std::size_t piece = 256 << 10;
    text_.erase(0, position_);
    searched_ -= position_;
    position_ = 0;
    if (text_.size() > line_bytes_max) return Error::out_of_space;
    const std::size_t before = text_.size();
    text_.resize(before + piece);
    const ssize_t got = ::read(file_, text_.data() + before, piece);
    text_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && errno != EINTR && errno != EAGAIN) return Error::device_failed;
    if (got == 0) ended_ = true;
    bytes_read_ += text_.size() - before;
    return {};
}

KeyValue split_line(std::string line, const std::optional<std::string>& separator) {
    if (!separator) return {{}, std::move(line)};
    const std::size_t at = line.find(*separator);
    if (at == std::string::npos) return {{}, std::move(line)};
    return {line.substr(0, at), line.substr(at + separator->size())};
}

namespace {

std::uint32_t murmur2(std::string_view key) {
    constexpr std::uint32_t factor = 0x5bd1e995, seed = 0x9747b28c;
    const auto byte = [&](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(key[i]));
    };
    std::uint32_t sum = seed ^ static_cast<std::uint32_t>(key.size());
    std::size_t i = 0;
    for (; i + 4 <= key.size(); i += 4) {
        std::uint32_t word = byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
        word *= factor;
        word ^= word >> 24;
        sum = sum * factor ^ word * factor;
    }
    if (i < key.size()) {
        for (std::size_t j = key.size(); j-- > i;) sum ^= byte(j) << (8 * (j - i));
        sum *= factor;
    }
    sum ^= sum >> 13;
    sum *= factor;
    return sum ^ sum >> 15;
}

} // namespace

std::int32_t partition_of_key(std::string_view key, std::int32_t partitions) {
    return static_cast<std::int32_t>(murmur2(key) & 0x7fffffff) % partitions;
}

} // namespace pyralog::cli
