import CVectorLoops

/// What the processor of this machine can do.
package enum Processor {
    /// Whether it multiplies and adds 8-bit integers, 64 at a time (AVX-512 VNNI).
    package static var hasByteProducts: Bool { apus_top_k_quantized_available() }
}
