import Core

/// A copy from host to device that runs beside what the stream computes.
public struct UploadAhead {
    /// What the backend needs to wait for it; nil when it was done at once.
    let ticket: AnyObject?
}

extension Stream {
    /// Starts to copy elements of a host buffer into a matrix, beside what is enqueued later.
    ///
    /// The copy begins after everything enqueued so far, so that `output` may be memory that earlier work still uses.
    /// Work that reads it must be enqueued after ``join(_:)``. The host doesn't wait; the buffer must not change until
    /// the stream has been waited for. Devices that copy at once do so.
    ///
    /// - Parameters:
    ///   - source: where from; kept alive by the upload.
    ///   - range: its elements, as many as `output` has.
    ///   - output: without gaps between its rows, of the same type.
    public func uploadAhead<Element: DeviceElement>(
        _ source: HostBuffer<Element>, _ range: Range<Int>, to output: Matrix
    ) throws(ComputeError) -> UploadAhead {
        try check(output, "upload", Element.elementType)
        guard range.count == output.count, range.lowerBound >= 0, range.upperBound <= source.count,
            output.isContiguous
        else {
            throw .invalidArgument(
                operation: "upload",
                reason: "elements \(range) of \(source.count) into a matrix of \(output.shape)"
                    + (output.isContiguous ? "" : " with gaps between its rows"))
        }
        guard !range.isEmpty else { return UploadAhead(ticket: nil) }
        let size = output.elementType.byteCount
        ownCounters.bytesUploaded += range.count * size
        return UploadAhead(
            ticket: try backend.beginUpload(
                from: source.baseAddress + range.lowerBound, keeping: source, to: output.storage,
                byteOffset: output.offset * size, byteCount: range.count * size))
    }

    /// What is enqueued from now on comes after the upload. The host does not wait.
    public func join(_ upload: UploadAhead) throws(ComputeError) {
        if let ticket = upload.ticket { try backend.join(ticket) }
    }
}

extension StreamBackend {
    public func beginUpload(
        from source: UnsafeRawPointer, keeping owner: AnyObject, to storage: any DeviceStorage, byteOffset: Int,
        byteCount: Int
    ) throws(ComputeError) -> AnyObject? {
        try upload(from: source, to: storage, byteOffset: byteOffset, byteCount: byteCount)
        return nil
    }

    public func join(_ upload: AnyObject) throws(ComputeError) {}
}
