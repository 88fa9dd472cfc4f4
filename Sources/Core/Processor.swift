import CVectorLoops

/// What the processor of this machine can do.
package enum Processor {
    /// Whether it multiplies and adds 8-bit integers, 64 at a time (AVX-512 VNNI).
    package static var hasByteProducts: Bool { apus_top_k_quantized_available() }

    /// Gives each of some threads of this process, by their numbers in the system, every n-th of the processors that the
    /// process may use, n being how many threads there are; `apartFrom` is left out. Does nothing when there are fewer
    /// processors than that.
    package static func spread(threads: some Collection<Int32>, apartFrom processor: Int32 = -1) {
        for (place, thread) in threads.enumerated() {
            // A thread that has ended is not found: nothing to bind then.
            _ = apus_bind_thread(thread, Int32(place), Int32(threads.count), processor)
        }
    }
}
