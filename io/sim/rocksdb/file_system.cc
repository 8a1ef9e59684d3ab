#include "io/sim/rocksdb/file_system.h"

#include <string>
#include <string_view>

namespace pyralog::sim {

namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus status_of(const Result<>& result) {
    if (result.ok()) return IOStatus::OK();
    const std::string reason(to_string(result.error()));
    switch (result.error()) {
    case Error::not_found: return IOStatus::PathNotFound(reason);
    case Error::out_of_space: return IOStatus::NoSpace(reason);
    default: return IOStatus::IOError(reason);
    }
}
template <class T>
IOStatus status_of(const Result<T>& result) {
    return result.ok() ? IOStatus::OK() : status_of(Result<>(result.error()));
}

std::span<std::byte> span_of(char* scratch, std::size_t size) {
    return std::as_writable_bytes(std::span(scratch, size));
}

// RocksDB joins names with more slashes than we do.
std::string plain(std::string_view path) {
    std::string joined;
    for (const char c : path)
        if (c != '/' || (!joined.empty() && joined.back() != '/')) joined += c;
    if (!joined.empty() && joined.back() == '/') joined.pop_back();
    return joined;
}

class SequentialFile final : public rocksdb::FSSequentialFile {
public:
    explicit SequentialFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

    IOStatus Read(std::size_t size, const IOOptions&, Slice* result, char* scratch,
                  IODebugContext*) override {
        const auto count = file_->read_at(position_, span_of(scratch, size));
        if (!count.ok()) return status_of(count);
        position_ += count.value();
        *result = Slice(scratch, count.value());
        return IOStatus::OK();
    }
    IOStatus Skip(std::uint64_t count) override {
        position_ += count;
        return IOStatus::OK();
    }

private:
    std::unique_ptr<File> file_;
    std::uint64_t position_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
public:
    explicit RandomAccessFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

    IOStatus Read(std::uint64_t position, std::size_t size, const IOOptions&, Slice* result,
                  char* scratch, IODebugContext*) const override {
        const auto count = file_->read_at(position, span_of(scratch, size));
        if (!count.ok()) return status_of(count);
        *result = Slice(scratch, count.value());
        return IOStatus::OK();
    }
    IOStatus Prefetch(std::uint64_t, std::size_t, const IOOptions&, IODebugContext*) override {
        return IOStatus::NotSupported();
    }

private:
    std::unique_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
public:
    WritableFile(std::unique_ptr<File> file, std::uint64_t size)
        : file_(std::move(file)), size_(size) {}

    using FSWritableFile::Append;
    IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
        const Result<> written =
            file_->write_at(size_, {Bytes::copy_of({data.data(), data.size()})});
        if (written.ok()) size_ += data.size();
        return status_of(written);
    }
    IOStatus Append(const Slice& data, const IOOptions& options,
                    const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
        return Append(data, options, debug);
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
        if (size == size_) return IOStatus::OK();
        size_ = size;
        return status_of(file_->resize(size));
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return status_of(file_->sync()); }
    std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }
    IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK(); // Promises nothing.
    }

private:
    std::unique_ptr<File> file_;
    std::uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
public:
    Directory(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
        return status_of(disk_.sync_directory(path_));
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

private:
    SimDisk& disk_;
    std::string path_;
};

// One process has the store, and one store it is.
struct Lock final : rocksdb::FileLock {};

class DiskFileSystem final : public rocksdb::FileSystem {
public:
    explicit DiskFileSystem(SimDisk& disk) : disk_(disk) {}
    const char* Name() const override { return "SimulatedDisk"; }

    IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSSequentialFile>* result,
                               IODebugContext*) override {
        auto file = disk_.open(plain(path), Disk::Open::existing, Disk::Access::buffered);
        if (!file.ok()) return status_of(file);
        *result = std::make_unique<SequentialFile>(std::move(file).value());
        return IOStatus::OK();
    }
    IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                 IODebugContext*) override {
        auto file = disk_.open(plain(path), Disk::Open::existing, Disk::Access::buffered);
        if (!file.ok()) return status_of(file);
        *result = std::make_unique<RandomAccessFile>(std::move(file).value());
        return IOStatus::OK();
    }
    IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext* debug) override;
    IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                                std::unique_ptr<rocksdb::FSWritableFile>* result,
                                IODebugContext*) override;
    IOStatus NewDirectory(const std::string& path, const IOOptions&,
                          std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
        if (!disk_.has(plain(path))) return IOStatus::PathNotFound(path);
        *result = std::make_unique<Directory>(disk_, plain(path));
        return IOStatus::OK();
    }

    IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
        return disk_.has(plain(path)) ? IOStatus::OK() : IOStatus::NotFound(path);
    }
    IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* names,
                         IODebugContext*) override {
        auto found = disk_.list(plain(path));
        if (!found.ok()) return status_of(found);
        *names = std::move(found).value();
        return IOStatus::OK();
    }
    IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
        return status_of(disk_.remove(plain(path)));
    }
    IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
        return status_of(disk_.create_directory(plain(path)));
    }
    IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                                IODebugContext* debug) override {
        return disk_.has(plain(path)) ? IOStatus::OK() : CreateDir(path, options, debug);
    }
    IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
        return status_of(disk_.remove(plain(path)));
    }
    IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size,
                         IODebugContext*) override;
    IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                     IODebugContext*) override {
        *time = 0;
        return IOStatus::OK();
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                        IODebugContext*) override {
        return status_of(disk_.rename(plain(from), plain(to)));
    }
    IOStatus LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                      IODebugContext*) override {
        *lock = std::make_unique<Lock>().release();
        return IOStatus::OK();
    }
    IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
        const std::unique_ptr<Lock> owned(static_cast<Lock*>(lock));
        return IOStatus::OK();
    }
    IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
        return IOStatus::NotSupported();
    }
    IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>*,
                       IODebugContext*) override {
        return IOStatus::NotSupported();
    }
    IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                             IODebugContext*) override {
        *absolute = plain(path);
        return IOStatus::OK();
    }
    IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                         IODebugContext*) override {
        *is_directory = disk_.list(plain(path)).ok();
        return IOStatus::OK();
    }

private:
    SimDisk& disk_;
};

// RocksDB writes its options down at every open and reads them again, which is two thirds of the
// time that an open takes, and does without if it cannot.
bool is_options_file(std::string_view path) {
    return path.find("/OPTIONS-") != std::string_view::npos;
}

IOStatus DiskFileSystem::NewWritableFile(const std::string& path, const FileOptions&,
                                         std::unique_ptr<rocksdb::FSWritableFile>* result,
                                         IODebugContext*) {
    const std::string name = plain(path);
    if (is_options_file(name)) return IOStatus::NotSupported();
    if (disk_.has(name))
        if (const Result<> removed = disk_.remove(name); !removed.ok()) return status_of(removed);
    auto file = disk_.open(name, Disk::Open::create_new, Disk::Access::buffered);
    if (!file.ok()) return status_of(file);
    *result = std::make_unique<WritableFile>(std::move(file).value(), 0);
    return IOStatus::OK();
}

IOStatus DiskFileSystem::ReopenWritableFile(const std::string& path, const FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>* result,
                                            IODebugContext*) {
    auto file = disk_.open(plain(path), Disk::Open::existing, Disk::Access::buffered);
    if (!file.ok()) return status_of(file);
    const auto size = file.value()->size();
    if (!size.ok()) return status_of(size);
    *result = std::make_unique<WritableFile>(std::move(file).value(), size.value());
    return IOStatus::OK();
}

IOStatus DiskFileSystem::GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size,
                                     IODebugContext*) {
    const auto file = disk_.open(plain(path), Disk::Open::existing, Disk::Access::buffered);
    if (!file.ok()) return status_of(file);
    const auto found = file.value()->size();
    if (found.ok()) *size = found.value();
    return status_of(found);
}

} // namespace

std::unique_ptr<rocksdb::FileSystem> file_system_on(SimDisk& disk) {
    return std::make_unique<DiskFileSystem>(disk);
}

} // namespace pyralog::sim
