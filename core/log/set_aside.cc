#include "core/log/set_aside.h"

#include "core/base/config.h"
#include "core/base/probe.h"

#include <algorithm>
#include <vector>

namespace pyralog {

namespace {

constexpr int depth_max = 4; // Of what is set aside, all that a node makes.

Result<> make_directory(Disk& disk, std::string_view path) {
    const Result<> made = disk.create_directory(path);
    if (made.ok() || made.error() == Error::already_exists) return {};
    return made;
}

// Those that are ours, oldest first.
std::vector<std::int64_t> numbers_of(const std::vector<std::string>& names) {
    std::vector<std::int64_t> numbers;
    for (const std::string& name : names)
        if (const auto number = parse_integer(name)) numbers.push_back(*number);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

} // namespace

Result<> SetAside::take(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const Result<std::vector<std::string>> beside = env_.disk.list(parent);
    if (!beside.ok() && beside.error() == Error::not_found) return {};
    if (!beside.ok()) return beside.error();
    if (std::ranges::find(beside.value(), name) == beside.value().end()) return {};
    if (where_.empty()) TRY(make());
    std::string flat = path;
    std::replace(flat.begin(), flat.end(), '/', '-');
    TRY(env_.disk.rename(path, where_ + '/' + flat));
    // First where it has gone: a directory that has no name at all is lost.
    TRY(env_.disk.sync_directory(where_));
    return env_.disk.sync_directory(parent);
}

Result<> SetAside::make() {
    TRY(make_directory(env_.disk, directory));
    TRY(env_.disk.sync_directory(""));
    TRY(remove_oldest());
    const auto numbers = numbers_of(TRY(env_.disk.list(directory)));
    const std::int64_t next = numbers.empty() ? 1 : numbers.back() + 1;
    const std::string made = std::string(directory) + '/' + std::to_string(next);
    TRY(make_directory(env_.disk, made));
    TRY(env_.disk.sync_directory(directory));
    where_ = made;
    return {};
}

// There is room for one more then.
Result<> SetAside::remove_oldest() {
    const auto numbers = numbers_of(TRY(env_.disk.list(directory)));
    SOMETIMES(numbers.size() >= kept_max, "set-aside/removes-the-oldest");
    for (std::size_t i = 0; i + kept_max <= numbers.size(); ++i)
        TRY(remove_all(std::string(directory) + '/' + std::to_string(numbers[i]), 0));
    return {};
}

// A file is removed without being looked into: only what says that it is a directory, and has
// something in it, is listed.
Result<> SetAside::remove_all(const std::string& path, int depth) {
    const Result<> removed = env_.disk.remove(path);
    if (removed.ok() || removed.error() == Error::not_found) return {};
    if (removed.error() != Error::already_exists) return removed;
    if (depth == depth_max) return Error::corrupt;
    for (const std::string& name : TRY(env_.disk.list(path)))
        TRY(remove_all(path + '/' + name, depth + 1));
    TRY(env_.disk.sync_directory(path));
    return env_.disk.remove(path);
}

} // namespace pyralog
