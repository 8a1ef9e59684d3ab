#include "io/rocksdb/log_repair.h"

#include "io/rocksdb/log_tail.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace pyralog::rocks {

namespace {

using rocksdb::FileOptions;
using rocksdb::FileSystem;
using rocksdb::IOOptions;
using rocksdb::Status;

constexpr std::size_t piece_bytes = 64 * 1024;

Status read_all(FileSystem& files, const std::string& path, std::string& into) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    Status status = files.NewSequentialFile(path, FileOptions(), &file, nullptr);
    std::vector<char> scratch(piece_bytes);
    rocksdb::Slice piece;
    do {
        if (!status.ok()) return status;
        status = file->Read(scratch.size(), IOOptions(), &piece, scratch.data(), nullptr);
        if (status.ok()) into.append(piece.data(), piece.size());
    } while (!status.ok() || !piece.empty());
    return status;
}

Status cut_off(FileSystem& files, const std::string& path, std::uint64_t size) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    Status status = files.ReopenWritableFile(path, FileOptions(), &file, nullptr);
    if (status.ok()) status = file->Truncate(size, IOOptions(), nullptr);
    if (status.ok()) status = file->Sync(IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    return status;
}

Status repair(FileSystem& files, const std::string& path) {
    std::string log;
    const Status status = read_all(files, path, log);
    if (!status.ok()) return status;
    const LogTail tail = tail_of(std::as_bytes(std::span(log)));
    switch (tail.state) {
    case LogState::whole: return {};
    case LogState::torn: return cut_off(files, path, tail.good);
    case LogState::damaged: break;
    }
    return Status::Corruption("damaged before its end", path);
}

// "000012.log": 12.
std::optional<std::uint64_t> number_of_log(std::string_view name) {
    constexpr std::string_view end = ".log";
    constexpr std::size_t digits_max = 19;
    if (!name.ends_with(end)) return {};
    name.remove_suffix(end.size());
    if (name.empty() || name.size() > digits_max) return {};
    std::uint64_t number = 0;
    for (const char c : name) {
        if (c < '0' || c > '9') return {};
        number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return number;
}

} // namespace

Status repair_logs(FileSystem& files, const std::string& path) {
    std::vector<std::string> names;
    Status status = files.GetChildren(path, IOOptions(), &names, nullptr);
    if (status.IsNotFound() || status.IsPathNotFound()) return {}; // Nothing to be repaired.
    if (!status.ok()) return status;
    // Each older log was durable before the next one was begun.
    std::string newest;
    for (const std::string& name : names)
        if (const auto number = number_of_log(name))
            if (newest.empty() || *number > *number_of_log(newest)) newest = name;
    if (!newest.empty()) status = repair(files, path + '/' + newest);
    // If CURRENT is not what it should be, RocksDB will say so.
    if (!status.ok() || std::ranges::find(names, "CURRENT") == names.end()) return status;
    std::string manifest;
    status = read_all(files, path + "/CURRENT", manifest);
    if (!manifest.empty() && manifest.back() == '\n') manifest.pop_back();
    if (!status.ok() || std::ranges::find(names, manifest) == names.end()) return status;
    return repair(files, path + '/' + manifest);
}

rocksdb::IOStatus sync_name_of(FileSystem& files, const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string around = slash == std::string::npos ? "" : path.substr(0, slash);
    std::unique_ptr<rocksdb::FSDirectory> directory;
    rocksdb::IOStatus status = files.NewDirectory(around, IOOptions(), &directory, nullptr);
    if (status.ok()) status = directory->Fsync(IOOptions(), nullptr);
    return status;
}

} // namespace pyralog::rocks
