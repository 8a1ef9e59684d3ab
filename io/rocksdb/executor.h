// io/rocksdb/executor.h
//
// Where RocksDB is called, because it blocks: on a helper thread in the real world, in no time in
// the simulated one. The calls of one Executor follow each other, in the order in which they were
// asked for.
#pragma once

#include "core/env/fiber.h"

namespace pyralog::rocks {

class Executor {
public:
    virtual ~Executor() = default;

    // Does `work`. Returns when it is done, even if the calling fiber is cancelled meanwhile.
    template <std::invocable Work>
    void run(Work work) {
        FiberBodyOf<Work> body(std::move(work));
        run_body(body);
    }

    virtual void run_body(FiberBody& body) = 0;
};

} // namespace pyralog::rocks
