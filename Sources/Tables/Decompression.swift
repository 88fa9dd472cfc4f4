import CZlib
import CZstandard
import Core
import Glibc

/// A buffer of compressed bytes between a source and a decompressor.
private final class InputBuffer {
    let base: UnsafeMutablePointer<UInt8>
    static let capacity = 1 << 17
    var start = 0
    var end = 0
    private let source: any ByteSource

    init(_ source: any ByteSource) {
        self.source = source
        base = .allocate(capacity: InputBuffer.capacity)
    }

    deinit { base.deallocate() }

    /// Whether there are bytes, after reading more when there were none.
    func refill() throws -> Bool {
        guard start == end else { return true }
        start = 0
        end = try source.read(into: UnsafeMutableRawBufferPointer(start: base, count: InputBuffer.capacity))
        return end > 0
    }
}

/// Decompresses gzip, of one or several members.
final class GzipSource: ByteSource {
    private let input: InputBuffer
    private let path: String
    // On the heap, because zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var insideMember = true
    private var finished = false
    // The last call filled the caller's buffer, so that the decompressor may hold more without any further input.
    private var mayHoldMore = false

    init(_ source: any ByteSource, path: String) throws {
        input = InputBuffer(source)
        self.path = path
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 31: a window of 32 KB, and the gzip wrapper.
        let status = inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            stream.deallocate()
            throw SystemError(operation: "decompress", object: path, reason: "zlib can't be set up (\(status))")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard buffer.count > 0 else { return 0 }
        let output = buffer.bindMemory(to: UInt8.self)
        while !finished {
            guard try input.refill() || mayHoldMore else {
                if insideMember { throw DataError("the gzip file ends too early; it is cut short", file: path) }
                finished = true
                break
            }
            if !insideMember {
                guard try beginMember() else { continue }
            }
            let available = min(output.count, 1 << 30)
            stream.pointee.next_in = input.base + input.start
            stream.pointee.avail_in = UInt32(input.end - input.start)
            stream.pointee.next_out = output.baseAddress
            stream.pointee.avail_out = UInt32(available)
            let status = inflate(stream, Z_NO_FLUSH)
            input.start = input.end - Int(stream.pointee.avail_in)
            let produced = available - Int(stream.pointee.avail_out)
            mayHoldMore = stream.pointee.avail_out == 0 && status == Z_OK
            if status == Z_STREAM_END {
                insideMember = false
            } else if status != Z_OK && status != Z_BUF_ERROR {
                let detail = stream.pointee.msg.map { " (\(String(cString: $0)))" } ?? ""
                throw DataError("the gzip file is damaged\(detail)", file: path)
            }
            if produced > 0 { return produced }
        }
        return 0
    }

    /// After a member: another one, zeros that some tools pad with, or the end.
    private func beginMember() throws -> Bool {
        while input.start < input.end, input.base[input.start] == 0 { input.start += 1 }
        guard input.start < input.end else { return false }
        guard input.base[input.start] == 0x1F else {
            throw DataError("there are bytes after the end of the gzip data that are not gzip", file: path)
        }
        inflateReset(stream)
        insideMember = true
        return true
    }
}

/// Decompresses Zstandard, of one or several frames.
final class ZstandardSource: ByteSource {
    private let input: InputBuffer
    private let path: String
    private let stream: OpaquePointer
    private var insideFrame = true
    // The last call filled the caller's buffer, so that the decompressor may hold more without any further input.
    private var mayHoldMore = false

    init(_ source: any ByteSource, path: String) throws {
        input = InputBuffer(source)
        self.path = path
        guard let stream = ZSTD_createDStream() else {
            throw SystemError(operation: "decompress", object: path, reason: "zstd can't be set up")
        }
        self.stream = stream
    }

    deinit { ZSTD_freeDStream(stream) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard buffer.count > 0 else { return 0 }
        while true {
            guard try input.refill() || mayHoldMore else {
                if insideFrame { throw DataError("the zstd file ends too early; it is cut short", file: path) }
                return 0
            }
            var source = ZSTD_inBuffer(src: input.base, size: input.end, pos: input.start)
            var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let status = ZSTD_decompressStream(stream, &target, &source)
            if ZSTD_isError(status) != 0 {
                throw DataError("the zstd file is damaged (\(String(cString: ZSTD_getErrorName(status))))", file: path)
            }
            input.start = source.pos
            insideFrame = status != 0
            mayHoldMore = insideFrame && target.pos == target.size
            if target.pos > 0 { return target.pos }
        }
    }
}
