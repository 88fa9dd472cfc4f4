/// Work of the host between the operations of a stream, such as a small decomposition by LAPACK.
public struct HostWork: Sendable {
    /// float32, rows without gaps.
    public let input: Matrix
    /// float32, rows without gaps.
    public let outputs: [Matrix]
    /// Makes the elements of the outputs, row after row, from those of the input.
    public let compute: @Sendable ([Float]) throws(ComputeError) -> [[Float]]

    /// What `compute` makes, checked: as many elements as each output has.
    public func results(of elements: [Float]) throws(ComputeError) -> [[Float]] {
        let results = try compute(elements)
        guard results.map(\.count) == outputs.map(\.count) else {
            throw .invalidArgument(
                operation: "computeOnHost",
                reason: "the work gave \(results.map(\.count)) elements for outputs of \(outputs.map(\.count))")
        }
        return results
    }
}

extension Stream {
    /// Enqueues work of the host between what was enqueued before and what will be: `input` is copied to the host once it
    /// has been computed, and what `compute` makes of its elements becomes that of the outputs.
    ///
    /// Devices that can, OpenCL's and the CPU device, don't let the caller wait; others count one wait. What `compute`
    /// throws comes out here, or out of the next ``finish()`` or download, the outputs being undefined then.
    ///
    /// - Parameters:
    ///   - input, outputs: float32, rows without gaps.
    ///   - compute: gets the elements of `input`, row after row, and gives those of each output. Runs on another thread.
    public func computeOnHost(
        _ input: Matrix, into outputs: [Matrix],
        _ compute: @escaping @Sendable ([Float]) throws(ComputeError) -> [[Float]]
    ) throws(ComputeError) {
        for matrix in [input] + outputs {
            try check(matrix, "computeOnHost")
            guard matrix.isContiguous, matrix.count > 0 else {
                throw .invalidArgument(
                    operation: "computeOnHost", reason: "expects rows without gaps, got \(matrix.shape)")
            }
        }
        guard !isRecording else {
            throw .invalidArgument(operation: "computeOnHost", reason: "work of the host can't be part of a plan")
        }
        let work = HostWork(input: input, outputs: outputs, compute: compute)
        if try backend.enqueue(work) {
            ownCounters.bytesDownloaded += 4 * input.count
            ownCounters.bytesUploaded += outputs.reduce(0) { $0 + 4 * $1.count }
        } else {
            let results = try work.results(of: download(input, as: Float.self))
            for (result, output) in zip(results, outputs) { try upload(result, to: output) }
        }
    }
}

extension StreamBackend {
    public func enqueue(_ work: HostWork) throws(ComputeError) -> Bool { false }
}
